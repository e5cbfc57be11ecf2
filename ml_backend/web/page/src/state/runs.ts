/** Runs of the open project: those listed, those that events tell of, and what is done with them. */

import { effect, signal } from "@preact/signals";
import * as client from "../api/client";
import type { Run } from "../api/contract";
import { projectLoader } from "./loading";
import { projectId } from "./route";
import { noteSignedOut } from "./session";

export const runs = projectLoader<Run[]>();
/** Runs by id as events tell of them; the list that was fetched is older. */
export const liveRuns = signal<ReadonlyMap<string, Run>>(new Map());
/** Why the last wish was refused. */
export const refused = signal("");

effect(() => {
  void projectId.value;
  refused.value = "";
});

export function noteRun(run: Run): void {
  liveRuns.value = new Map(liveRuns.peek()).set(run.id, run);
}

/** The project of a wish that has no answer yet: until then it is pressed in vain. */
let wished: number | null = null;

/** Whether it was done, and its project is still the open one. */
async function attempt(wish: (project: number) => Promise<Run>): Promise<boolean> {
  const id = projectId.peek();
  if (id === null || id === wished) return false;
  wished = id;
  try {
    const run = await wish(id);
    if (projectId.peek() !== id) return false;
    noteRun(run);
    refused.value = "";
    return true;
  } catch (error) {
    noteSignedOut(error);
    if (projectId.peek() === id) refused.value = (error as Error).message;
    return false;
  } finally {
    if (wished === id) wished = null;
  }
}

export const startRun = () => attempt(client.startRun);
export const changeRun = (run: Run, how: "cancel" | "retry") =>
  attempt(() => client.changeRun(run.id, how));
