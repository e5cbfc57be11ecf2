/** Relabel batches: how each stands, bringing back its answers, and taking back the rest. */

import { effect, signal } from "@preact/signals";
import type { Batch } from "../api/contract";
import { count, plural } from "../core/format";
import { performOnBatches } from "../state/actions";
import { mayChange } from "../state/project";
import { projectId, room } from "../state/route";
import { Answers, Dialog } from "./dialog";
import { Table } from "./table";

const BATCH_COLUMNS = [
  ["sent", "Sent"],
  ["open", "Open"],
  ["skipped", "Skipped"],
  ["ready", "Ready"],
  ["done", "Done"],
  ["corrected", "Corrected"],
  ["confirmed", "Confirmed"],
  ["superseded", "Sent again"],
  ["gone", "Deleted"],
  ["conflicts", "Conflicts"],
] as const;

const TITLES = ["Batch", ...BATCH_COLUMNS.map(([, title]) => title)];

/** The batch that is about to be withdrawn. */
const asked = signal<Batch | null>(null);

effect(() => {
  void [projectId.value, room.value];
  asked.value = null;
});

export function Batches({ found }: { found: Batch[] }) {
  if (found.length === 0) {
    return <p class="hint">None yet. Pick samples in Review and choose “Relabel…”.</p>;
  }
  const mends = found.flatMap(({ said }) => Object.entries(said));
  return (
    <>
      <Table titles={mayChange.value ? [...TITLES, "Act"] : TITLES}>
        {found.map((batch) => (
          <tr key={batch.id}>
            <th scope="row">
              <a href={batch.url} target="_blank" rel="noopener">
                {batch.id}
              </a>
            </th>
            {BATCH_COLUMNS.map(([name]) => (
              <td key={name}>{count(batch[name])}</td>
            ))}
            {mayChange.value && (
              <td class="acts">
                <Acts batch={batch} />
              </td>
            )}
          </tr>
        ))}
      </Table>
      <Question />
      {mends.length > 0 && (
        <details class="run-log">
          <summary>{plural(mends.length, "note")}</summary>
          <ul>
            {mends.map(([task, mend]) => (
              <li key={task}>{mend}</li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function Acts({ batch }: { batch: Batch }) {
  return (
    <>
      {batch.ready > 0 && (
        <button
          type="button"
          class="button"
          title="Brings back all answers that are ready, those of other batches too"
          onClick={() => void performOnBatches("sync")}
        >
          Bring back {count(batch.ready)}
          <span class="hidden"> of {batch.id}</span>
        </button>
      )}
      {batch.open > 0 && (
        <button
          type="button"
          class="button"
          onClick={() => {
            asked.value = batch;
          }}
        >
          Withdraw {count(batch.open)}…<span class="hidden"> of {batch.id}</span>
        </button>
      )}
    </>
  );
}

function Question() {
  const batch = asked.value;
  if (!batch) return null;
  const close = () => {
    asked.value = null;
  };
  const open = plural(batch.open, "open task");
  return (
    <Dialog title={`Withdraw ${open} of batch ${batch.id}?`} close={close}>
      <p>
        What nobody has begun is taken back and can be sent again.
        {batch.ready > 0 && ` First ${plural(batch.ready, "answer")} will be brought back.`}
      </p>
      <Answers
        yes={`Withdraw ${count(batch.open)}`}
        off={false}
        close={close}
        act={() => void performOnBatches("withdraw", batch.id)}
      />
    </Dialog>
  );
}
