/** Progress of actions, and the way back. */

import type { ActionState } from "../api/contract";
import { hasEnded, titleOf } from "../core/action_titles";
import { count } from "../core/format";
import { actions, dismiss, takeBack } from "../state/actions";
import { mayChange } from "../state/project";
import { session } from "../state/session";
import { Icon } from "./icons";

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
  const title = titleOf(action);
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
        <button type="button" class="tool" aria-label="Dismiss" onClick={() => dismiss(action)}>
          <Icon name="close" />
        </button>
      </div>
      {others && <p>By {action.by}</p>}
      {action.said && <p>{action.said}</p>}
      {!hasEnded(action) && (
        <>
          <progress max={Math.max(action.total, 1)} value={action.done} aria-label={title} />
          {action.total > 0 && (
            <p>
              {count(action.done)} of {count(action.total)}
            </p>
          )}
        </>
      )}
    </div>
  );
}
