/** What people did in the project, the newest first. */

import type { ActionState } from "../api/contract";
import { titleOf } from "../core/action_titles";
import { when } from "../core/format";
import { actions, takeBack } from "../state/actions";
import { mayChange } from "../state/project";
import { Icon } from "./icons";
import { Table } from "./table";

export function PastActions({ found }: { found: ActionState[] }) {
  if (found.length === 0) return <p class="hint">None yet.</p>;
  // What events tell of an action is newer than the list.
  const live = new Map(actions.value.map((action) => [action.id, action]));
  return (
    <Table titles={["Action", "By", "Ended", "Said", "Undo"]}>
      {found.map((listed) => (
        <PastAction key={listed.id} action={live.get(listed.id) ?? listed} />
      ))}
    </Table>
  );
}

function PastAction({ action }: { action: ActionState }) {
  const title = titleOf(action);
  return (
    <tr>
      <th scope="row">{title}</th>
      <td>{action.by}</td>
      <td>{action.ended > 0 ? when(action.ended) : action.state}</td>
      <td>{action.said}</td>
      <td>
        {action.undoable && mayChange.value && (
          <button
            type="button"
            class="button"
            aria-label={`Undo: ${title}`}
            onClick={() => void takeBack(action)}
          >
            <Icon name="undo" /> Undo
          </button>
        )}
      </td>
    </tr>
  );
}
