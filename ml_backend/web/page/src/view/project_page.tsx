/** One project: its bar, and the room one is in. */

import { controlName, readProject } from "../state/control";
import { current } from "../state/loading";
import { data, project } from "../state/project";
import { openProject, view } from "../state/route";
import { Activity } from "./activity";
import { KeyHelp, useKeys } from "./keys";
import { Overview } from "./overview";
import { Questions } from "./questions";
import { Review } from "./review";
import { Failed, Waiting } from "./states";
import { Toasts } from "./toasts";
import { TopBar } from "./top_bar";

export function ProjectPage() {
  useKeys();
  return (
    <>
      <TopBar />
      <Room />
      <Toasts />
      <Questions />
      <KeyHelp />
    </>
  );
}

function Room() {
  const now = project.value.value;
  // Read here, so that points are on their way whatever room is open.
  void data.value.value;
  if (now.state === "failed" && now.status === 403) return <Refused message={now.message} />;
  // It is read again now and then; what is there stays meanwhile.
  const there = current(now) !== null;
  if (now.state === "failed" && !there) {
    const retry = () => void readProject();
    return (
      <main class="page">
        <Failed title="This project cannot be shown" message={now.message} retry={retry} />
      </main>
    );
  }
  if (!there) return <Waiting title="Opening the project" />;
  // Each control tag has thresholds of its own.
  if (view.value.room === "overview") return <Overview key={controlName.value} />;
  return view.value.room === "activity" ? <Activity /> : <Review />;
}

function Refused({ message }: { message: string }) {
  return (
    <main class="page">
      <Failed title="This project cannot be shown" message={message}>
        <p>
          You see here what you may see in Label Studio. Ask an owner of the project there, or go on
          with one of yours.
        </p>
        <a
          class="button"
          href="/page/"
          onClick={(event) => {
            event.preventDefault();
            openProject(null);
          }}
        >
          All projects
        </a>
      </Failed>
    </main>
  );
}
