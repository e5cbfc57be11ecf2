/** The title of the browser's tab: which room of which project. */

import { effect } from "@preact/signals";
import { pageTitle, projectTitle } from "../core/rooms";
import { openProject } from "./control";
import { projectId, view } from "./route";
import { session } from "./session";

effect(() => {
  if (session.value === null) document.title = pageTitle("Sign in");
  else if (projectId.value === null) document.title = pageTitle("Projects");
  else document.title = projectTitle(view.value.room, openProject.value?.title ?? "…");
});
