/** Progress of actions, and the way back. */

import type { ActionName, ActionState } from "../api/contract";
import { count, plural } from "../core/format";
import { actions, dismiss, takeBack } from "../state/actions";
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

function Toast({ action }: { action: ActionState }) {
  const failed = action.state === "failed";
  const done = action.state === "done";
  const verb = done ? DONE[action.action] : DOING[action.action];
  const title = failed
    ? `${verb} ${plural(action.total, "task")} failed`
    : `${verb} ${plural(action.total, "task")}`;
  return (
    <div class={`toast toast-${action.state}`}>
      <div class="toast-head">
        <strong>{title}</strong>
        {action.undoable && (
          <button type="button" class="button" onClick={() => void takeBack(action)}>
            <Icon name="undo" /> Undo
          </button>
        )}
        <button type="button" class="tool" aria-label="Dismiss" onClick={() => dismiss(action.id)}>
          <Icon name="close" />
        </button>
      </div>
      {action.said && <p>{action.said}</p>}
      {!done && !failed && (
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
