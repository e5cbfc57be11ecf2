/** What single tasks hold, fetched many at once when first looked at. */

import { effect, type Signal, signal } from "@preact/signals";
import * as client from "../api/client";
import type { TaskDetail } from "../api/contract";
import { controlName } from "./control";
import { projectId } from "./route";

const MOST_KEPT = 4000;
const MOST_AT_ONCE = 64;
const GATHER_MS = 20;

export type Detail = TaskDetail | "loading" | "failed";

const kept = new Map<number, Signal<Detail>>();
let wanted: number[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

effect(() => {
  // Other projects have other tasks, other tags other regions.
  void projectId.value;
  void controlName.value;
  kept.clear();
  wanted = [];
});

export function detailOf(task: number): Signal<Detail> {
  const known = kept.get(task);
  if (known) return known;
  const made = signal<Detail>("loading");
  kept.set(task, made);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value as number);
  wanted.push(task);
  gather();
  return made;
}

/** Look at tasks again; what is shown of them stays until the answer is there. */
export function refreshDetails(): void {
  wanted = [...new Set([...wanted, ...kept.keys()])].slice(-MOST_AT_ONCE * 4);
  for (const task of kept.keys()) if (!wanted.includes(task)) kept.delete(task);
  gather();
}

function gather(): void {
  if (timer === undefined) timer = setTimeout(fetchWanted, GATHER_MS);
}

function fetchWanted(): void {
  timer = undefined;
  const [id, name] = [projectId.peek(), controlName.peek()];
  if (id === null || name === null) return;
  while (wanted.length > 0) void fetchSome(id, name, wanted.splice(0, MOST_AT_ONCE));
}

async function fetchSome(id: number, name: string, ids: readonly number[]): Promise<void> {
  const answers = new Map<number, Detail>(ids.map((task) => [task, "failed"]));
  try {
    for (const detail of await client.tasks(id, ids, name)) answers.set(detail.task, detail);
  } catch {
    // Each card says that its task could not be read.
  }
  for (const [task, detail] of answers) {
    const place = kept.get(task);
    if (place) place.value = detail;
  }
}
