/** What people did in the project, the newest first. */

import type { ActionState } from "../api/contract";
import { when } from "../core/format";
import { Table } from "./table";
import { titleOf } from "./toasts";

export function PastActions({ found }: { found: ActionState[] }) {
  if (found.length === 0) return <p class="hint">None yet.</p>;
  return (
    <Table titles={["Action", "By", "Ended", "Said"]}>
      {found.map((action) => (
        <tr key={action.id}>
          <th scope="row">{titleOf(action)}</th>
          <td>{action.by}</td>
          <td>{action.ended > 0 ? when(action.ended) : action.state}</td>
          <td>{action.said}</td>
        </tr>
      ))}
    </Table>
  );
}
