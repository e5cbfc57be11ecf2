/** The open project, and which of its control tags and parts the view is of. */

import { computed, effect, signal } from "@preact/signals";
import * as client from "../api/client";
import type { Control, Part, Project } from "../api/contract";
import { current, loader } from "./loading";
import { projectId, view } from "./route";
import { session } from "./session";

export const project = loader<Project>();

export const openProject = computed(() => current(project.value.value));
/** Whether who is signed in may act, or only look. */
export const mayChange = computed(() => openProject.value?.may_change === true);

/** The control tag of the view, the project's first where it names none. */
export const control = computed<Control | null>(() => {
  const controls = openProject.value?.controls ?? [];
  const named = controls.find(({ name }) => name === view.value.control);
  return named ?? controls.find(({ scored }) => scored) ?? controls[0] ?? null;
});
/** A project that is read again has new control tags of the same names. */
export const controlName = computed(() => control.value?.name ?? null);

export const part = computed<Part>(() => {
  const parts = control.value?.parts ?? [];
  return parts.includes(view.value.part) ? view.value.part : (parts[0] ?? "inputs");
});

/** Grows when what was found in the project must be fetched again. */
export const round = signal(0);

/** Read the project again: its settings may be others by now. */
export async function readProject(): Promise<void> {
  const id = projectId.peek();
  if (id !== null) await project.load(() => client.project(id));
}

effect(() => {
  const id = projectId.value;
  project.clear();
  if (session.value && id !== null) void readProject();
});
