/** Nothing to show of a project yet: why that is, and the next step. */

import * as client from "../api/client";
import type { Project } from "../api/contract";
import { mayChange, openProject, project } from "../state/project";
import { changeView } from "../state/route";
import { isUnderWay, newestRun } from "../state/run_states";
import { Analyse } from "./analyse";
import { Icon } from "./icons";
import { Empty } from "./states";

const goToRuns = () => changeView({ room: "activity" });

export function Unanalysed({ message }: { message: string }) {
  const run = newestRun.value;
  const open = openProject.value;
  if (open?.tasks === 0) return <NoTasks open={open} />;
  if (run && isUnderWay(run)) {
    return (
      <Empty title="The project is being analysed">
        <p>What it finds appears here as soon as it has been scored.</p>
        <progress max={Math.max(run.total, 1)} value={run.done} aria-label={run.stage} />
        <RunsButton />
      </Empty>
    );
  }
  return (
    <Empty title="Nothing has been analysed yet">
      <p>{message}</p>
      {run?.state === "failed" && <p class="error">The last run failed; Activity says why.</p>}
      {mayChange.value && <Analyse strong />}
      {run && <RunsButton />}
    </Empty>
  );
}

function NoTasks({ open }: { open: Project }) {
  return (
    <Empty title="This project has no tasks">
      <p>Import some in Label Studio, then analyse the project here.</p>
      <a class="button button-strong" href={open.url} target="_blank" rel="noopener">
        Open the project <Icon name="open" />
      </a>
      <button
        type="button"
        class="button"
        onClick={() => void project.load(() => client.project(open.id))}
      >
        Look again
      </button>
    </Empty>
  );
}

function RunsButton() {
  return (
    <button type="button" class="button" onClick={goToRuns}>
      Show its runs
    </button>
  );
}
