/** Progress of actions, and the way back. */

import type { ActionName, ActionState } from "../api/contract";
import { count, plural } from "../core/format";
import { actions, dismiss, takeBack } from "../state/actions";
import { mayChange } from "../state/project";
import { session } from "../state/session";
import { Icon } from "./icons";

const DOING: Readonly<Record<ActionName, string>> = {
  flag: "Flagging",
  clear: "Clearing the flag of",
  tag: "Tagging",
  untag: "Untagging",
  batch: "Sending",
  approve: "Approving",
};
const DONE: Readonly<Record<ActionName, string>> = {
  flag: "Flagged",
  clear: "Cleared the flag of",
  tag: "Tagged",
  untag: "Untagged",
  batch: "Sent",
  approve: "Approved",
};
const MOST_SHOWN = 4;

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {actions.value.slice(0, MOST_SHOWN).map((action) => (
        <Toast key={action.id} action={action} />
      ))}
    </div>
  );
}

export function titleOf({ action, state, total }: ActionState): string {
  const several = plural(total, "task");
  if (state === "done") return `${DONE[action]} ${several}`;
  if (state === "undoing") return `Taking back: ${DONE[action].toLowerCase()} ${several}`;
  if (state === "undone") return `Taken back: ${DONE[action].toLowerCase()} ${several}`;
  return `${DOING[action]} ${several}${state === "failed" ? " failed" : ""}`;
}

function Toast({ action }: { action: ActionState }) {
  const title = titleOf(action);
  const ended = ["done", "failed", "undone"].includes(action.state);
  const others = action.by !== "" && action.by !== session.value?.user.name;
  return (
    <div class={`toast toast-${action.state}`}>
      <div class="toast-head">
        <strong>{title}</strong>
        {action.undoable && mayChange.value && (
          <button type="button" class="button" onClick={() => void takeBack(action)}>
            <Icon name="undo" /> Undo
          </button>
        )}
        <button type="button" class="tool" aria-label="Dismiss" onClick={() => dismiss(action.id)}>
          <Icon name="close" />
        </button>
      </div>
      {others && <p>By {action.by}</p>}
      {action.said && <p>{action.said}</p>}
      {!ended && (
        <>
          <progress max={Math.max(action.total, 1)} value={action.done} aria-label={title} />
          <p>
            {count(action.done)} of {count(action.total)}
          </p>
        </>
      )}
    </div>
  );
}
