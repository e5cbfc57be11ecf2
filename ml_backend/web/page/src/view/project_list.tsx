/** The projects that the person may see. */

import { computed, effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as client from "../api/client";
import type { ProjectSummary } from "../api/contract";
import { plural } from "../core/format";
import { current, loader } from "../state/loading";
import { openProject, projectPath } from "../state/route";
import { session } from "../state/session";
import { Empty, Failed, Waiting } from "./states";
import { TopBar } from "./top_bar";

const projects = loader<ProjectSummary[]>();
const fetchProjects = () => void projects.load(client.projects);

const who = computed(() => session.value?.user.id);
effect(() => {
  // Others may see others.
  void who.value;
  projects.clear();
});

export function ProjectList() {
  useEffect(fetchProjects, []);
  return (
    <>
      <TopBar />
      <main class="page">
        <h1>Projects</h1>
        <List />
      </main>
    </>
  );
}

function List() {
  const now = projects.value.value;
  if (now.state === "failed") {
    return <Failed title="No projects could be read" message={now.message} retry={fetchProjects} />;
  }
  const found = current(now);
  if (found === null) return <Waiting title="Reading projects" />;
  if (found.length === 0) {
    return (
      <Empty title="No project is connected">
        Connect Relook in a project of{" "}
        <a href={session.value?.label_studio ?? "/"} target="_blank" rel="noopener">
          Label Studio
        </a>
        : Settings › Model › Connect Model.
      </Empty>
    );
  }
  return (
    <ul class="projects">
      {found.map((one) => (
        <li key={one.id}>
          <a
            class="project-card"
            href={projectPath(one.id)}
            onClick={(event) => {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              openProject(one.id);
            }}
          >
            <strong>{one.title}</strong>
            <span>{plural(one.tasks, "task")}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}
