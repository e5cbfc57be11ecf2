/** What review has shown about each annotator, and how far they agree. */

import * as client from "../api/client";
import type { AnnotatorReport, AnnotatorRow, Confusion, Share } from "../api/contract";
import { count, percent, score } from "../core/format";
import { openProject } from "../state/project";
import { projectId } from "../state/route";
import { Table } from "./table";

const MOST_CONFUSIONS = 3;
const TITLES = [
  ...["Annotator", "Tasks", "Flagged", "Was wrong", "Was right", "Waiting"],
  ...["Errors, estimated", "Mixes up"],
];

export function Annotators({ found }: { found: AnnotatorReport }) {
  const id = projectId.value as number;
  if (found.annotators.length === 0)
    return <p class="hint">Nobody has labelled anything that was analysed yet.</p>;
  return (
    <>
      <a class="button" href={client.annotatorsFile(id)} download>
        Download CSV
      </a>
      <Table titles={TITLES}>
        {found.annotators.map((row) => (
          <Row key={row.id} row={row} />
        ))}
      </Table>
      <Agreement found={found} />
    </>
  );
}

function Row({ row }: { row: AnnotatorRow }) {
  return (
    <tr>
      <th scope="row">{row.name}</th>
      <td>{count(row.tasks)}</td>
      <td>{count(row.findings)}</td>
      <td>{count(row.confirmed)}</td>
      <td>{count(row.kept)}</td>
      <td>{count(row.open)}</td>
      <td class="wraps">{share(row.share)}</td>
      <td class="wraps">
        {row.confusions.length === 0
          ? "–"
          : row.confusions.slice(0, MOST_CONFUSIONS).map((one) => (
              <div key={`${one.control} ${one.given} ${one.better}`}>
                {words(one)} <Examples tasks={one.tasks} />
              </div>
            ))}
      </td>
    </tr>
  );
}

function share({ share: estimate, low, high }: Share): string {
  if (estimate === null) return "too little is reviewed";
  return `${percent(estimate)} (${percent(low)} to ${percent(high)})`;
}

function words({ given, better, confirmed, suspected }: Confusion): string {
  const often = `${count(confirmed)} of ${count(confirmed + suspected)} confirmed`;
  if (given === better) return `${given}: drawn badly, ${often}`;
  return `${given || "nothing"} for ${better || "nothing"}, ${often}`;
}

function Examples({ tasks }: { tasks: number[] }) {
  const open = openProject.value;
  if (!open) return null;
  return (
    <>
      {tasks.map((task) => (
        <a key={task} href={`${open.url}?task=${task}`} target="_blank" rel="noopener">
          {` ${task}`}
        </a>
      ))}
    </>
  );
}

function Agreement({ found }: { found: AnnotatorReport }) {
  const pairs = found.agreement.flatMap(({ control, pairs: listed }) =>
    listed.map((pair) => ({ control, ...pair })),
  );
  if (pairs.length === 0) return <p class="hint">No two annotators have labelled the same task.</p>;
  return (
    <Table titles={["Two annotators", "Tag", "Tasks of both", "Agreement", "Kappa"]}>
      {pairs.map((one) => (
        <tr key={`${one.control} ${one.first} ${one.second}`}>
          <th scope="row">{`${one.first}, ${one.second}`}</th>
          <td>{one.control}</td>
          <td>{count(one.tasks)}</td>
          <td>{score(one.agreement)}</td>
          <td>{score(one.kappa)}</td>
        </tr>
      ))}
    </Table>
  );
}
