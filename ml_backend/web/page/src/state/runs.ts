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

/** Whether it was done. */
async function attempt(work: Promise<Run>): Promise<boolean> {
  try {
    noteRun(await work);
    refused.value = "";
    return true;
  } catch (error) {
    noteSignedOut(error);
    refused.value = (error as Error).message;
    return false;
  }
}

export const startRun = () => attempt(client.startRun(projectId.peek() as number));
export const changeRun = (run: Run, how: "cancel" | "retry") =>
  attempt(client.changeRun(run.id, how));
