/** Runs of the open project: those listed, those that events tell of, and what is done with them. */

import { effect, signal } from "@preact/signals";
import * as client from "../api/client";
import type { Run } from "../api/contract";
import { projectLoader } from "./loading";
import { projectId, room } from "./route";
import { noteSignedOut } from "./session";

export const runs = projectLoader<Run[]>();
/** Runs by id as events tell of them; the list that was fetched is older. */
export const liveRuns = signal<ReadonlyMap<string, Run>>(new Map());
/** Why the last wish was refused. */
export const refused = signal("");

effect(() => {
  void [projectId.value, room.value];
  refused.value = "";
});

export function noteRun(run: Run): void {
  liveRuns.value = new Map(liveRuns.peek()).set(run.id, run);
}

/** What has no answer yet, by the run that it is wished of: pressed again, it is wished in vain. */
const wished = new Set<string>();

/** Whether it was done, and its project is still the open one. */
async function attempt(of: string, wish: (project: number) => Promise<Run>): Promise<boolean> {
  const id = projectId.peek();
  const name = `${id} ${of}`;
  if (id === null || wished.has(name)) return false;
  wished.add(name);
  refused.value = "";
  try {
    const run = await wish(id);
    if (projectId.peek() !== id) return false;
    noteRun(run);
    return true;
  } catch (error) {
    noteSignedOut(error);
    if (projectId.peek() === id) refused.value = (error as Error).message;
    return false;
  } finally {
    wished.delete(name);
  }
}

export const startRun = () => attempt("a new one", client.startRun);
export const changeRun = (run: Run, how: "cancel" | "retry") =>
  attempt(run.id, () => client.changeRun(run.id, how));
