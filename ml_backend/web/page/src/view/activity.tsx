/** What Relook is doing and has done: runs, batches, annotators. */

import { useEffect, useState } from "preact/hooks";
import type { Counted } from "../api/client";
import * as client from "../api/client";
import type { ActionState, AnnotatorReport, Batch, Run } from "../api/contract";
import { count, duration, plural, when } from "../core/format";
import { acted, news } from "../state/events";
import { current, type Loader, projectLoader } from "../state/loading";
import { mayChange } from "../state/project";
import { projectId } from "../state/route";
import { isUnderWay } from "../state/run_states";
import { changeRun, liveRuns, runs } from "../state/runs";
import { Analyse } from "./analyse";
import { Annotators } from "./annotators";
import { Batches } from "./batches";
import { Icon } from "./icons";
import { Card } from "./overview";
import { PastActions } from "./past_actions";
import { Failed, Waiting } from "./states";

const batches = projectLoader<Counted<Batch[]>>();
const annotators = projectLoader<Counted<AnnotatorReport>>();
const past = projectLoader<ActionState[]>();
const MOST_RUNS = 12;

const fetchRuns = (id: number) => void runs.load(() => client.runs(id));
const fetchActions = (id: number) => void past.load(() => client.actions(id));
const fetchBatches = (id: number) => batches.load(() => client.batches(id, true));
const countBatches = (id: number) => batches.load(() => client.batches(id, false));
const fetchAnnotators = (id: number) => annotators.load(() => client.annotators(id, true));
const countAnnotators = (id: number) => annotators.load(() => client.annotators(id, false));

/** How many actions had ended, here or in another room, when a project's batches were counted. */
const endedWhenCounted = new Map<number, number>();

export function Activity() {
  const id = projectId.value as number;
  const ended = acted.value;
  useEffect(() => {
    fetchRuns(id);
    fetchActions(id);
  }, [id, news.value]);
  useEffect(() => {
    void (ended === (endedWhenCounted.get(id) ?? 0) ? fetchBatches(id) : countBatches(id));
    endedWhenCounted.set(id, ended);
  }, [id, ended, news.value]);
  // It reads every labelled task: again for who asks, not whenever something has changed.
  useEffect(() => {
    void fetchAnnotators(id);
  }, [id]);
  return (
    <main class="page">
      <div class="cards cards-one">
        <Card title="Runs">
          <Runs />
        </Card>
        <Card title="Relabel batches">
          <Loaded from={batches} fetch={fetchBatches}>
            {(counted) => (
              <Again counted={counted} count={countBatches}>
                <Batches found={counted.found} />
              </Again>
            )}
          </Loaded>
        </Card>
        <Card title="Actions">
          <Loaded from={past} fetch={fetchActions}>
            {(found) => <PastActions found={found} />}
          </Loaded>
        </Card>
        <Card title="Annotators">
          <Loaded from={annotators} fetch={fetchAnnotators}>
            {(counted) => (
              <Again counted={counted} count={countAnnotators}>
                <Annotators found={counted.found} />
              </Again>
            )}
          </Loaded>
        </Card>
      </div>
    </main>
  );
}

interface LoadedProps<T> {
  from: Loader<T>;
  fetch: (id: number) => unknown;
  children: (found: T) => preact.ComponentChildren;
}

function Loaded<T>({ from, fetch, children }: LoadedProps<T>) {
  const now = from.value.value;
  const id = projectId.value as number;
  const found = current(now);
  if (now.state === "failed" && now.status === 404) return <p class="hint">Nothing yet.</p>;
  return (
    <>
      {now.state === "failed" && (
        <Failed title="Could not be read" message={now.message} retry={() => fetch(id)} />
      )}
      {found !== null && children(found)}
      {found === null && now.state !== "failed" && <Waiting title="Reading" />}
    </>
  );
}

interface AgainProps<T> {
  counted: Counted<T>;
  count: (id: number) => Promise<void>;
  children: preact.ComponentChildren;
}

function Again<T>({ counted, count: countAgain, children }: AgainProps<T>) {
  // What is counted by itself takes the focus from nobody.
  const [counting, setCounting] = useState(false);
  const asked = async () => {
    setCounting(true);
    await countAgain(projectId.value as number);
    setCounting(false);
  };
  return (
    <>
      {children}
      <p class="hint">
        {`Counted ${when(counted.at)} `}
        <button type="button" class="button" disabled={counting} onClick={() => void asked()}>
          <Icon name="retry" /> {counting ? "Counting…" : "Count again"}
        </button>
      </p>
    </>
  );
}

function Runs() {
  const now = runs.value.value;
  const listed = current(now) ?? [];
  const live = liveRuns.value;
  const known = new Set(listed.map((run) => run.id));
  const fresh = [...live.values()].filter((run) => !known.has(run.id));
  const all = [...fresh, ...listed.map((run) => live.get(run.id) ?? run)]
    .toSorted((a, b) => b.started - a.started)
    .slice(0, MOST_RUNS);
  const busy = all.some(isUnderWay);
  return (
    <>
      {mayChange.value && (
        <Analyse title={busy ? "Takes the place of the run that is under way" : ""} />
      )}
      {now.state === "failed" && (
        <Failed
          title="Could not be read"
          message={now.message}
          retry={() => fetchRuns(projectId.value as number)}
        />
      )}
      {all.length === 0 && now.state === "ready" && <p class="hint">No run yet.</p>}
      <ul class="runs">
        {all.map((run) => (
          <RunItem key={run.id} run={run} />
        ))}
      </ul>
    </>
  );
}

function RunItem({ run }: { run: Run }) {
  const ended = !isUnderWay(run);
  const errors = Object.entries(run.errors);
  // Each of the two takes the other's place: a double click would undo itself.
  const change = (how: "cancel" | "retry") => (event: MouseEvent) => {
    if (event.detail < 2) void changeRun(run, how);
  };
  return (
    <li class="run">
      <div class="run-head">
        <span class={`state-badge state-${run.state}`}>{run.state}</span>
        <span>{when(run.started)}</span>
        <span class="hint">
          {ended
            ? `${duration(Math.max(run.ended - run.started, 0))}, ${count(run.flagged)} flagged`
            : run.stage}
        </span>
        <span class="top-gap" />
        {!ended && mayChange.value && (
          <button type="button" class="button" onClick={change("cancel")}>
            Cancel
          </button>
        )}
        {ended && (run.state !== "done" || errors.length > 0) && mayChange.value && (
          <button type="button" class="button" onClick={change("retry")}>
            <Icon name="retry" /> Retry
          </button>
        )}
      </div>
      {run.over && <p class="hint run-over">over {run.over}</p>}
      {!ended && (
        <>
          <progress max={Math.max(run.total, 1)} value={run.done} aria-label={run.stage} />
          <p class="hint">
            {count(run.done)} of {count(run.total)}
            {run.rate > 0 && ` · ${count(Math.round(run.rate))} tasks/s`}
            {run.left !== null && ` · ${duration(run.left)} left in this stage`}
          </p>
        </>
      )}
      {(errors.length > 0 || run.log.length > 0) && (
        <details class="run-log">
          <summary>{errors.length > 0 ? plural(errors.length, "error") : "Log"}</summary>
          <ul>
            {errors.map(([task, said]) => (
              <li key={task}>
                <strong>{task === "run" ? "The run" : `Task ${task}`}</strong>: {said}
              </li>
            ))}
          </ul>
          <pre>{run.log.map((line) => line.replace(/^\d+\.\d+ /, "")).join("\n")}</pre>
        </details>
      )}
    </li>
  );
}
