/** What single tasks hold, fetched many at once when first looked at. */

import { effect, type Signal, signal } from "@preact/signals";
import * as client from "../api/client";
import type { TaskDetail } from "../api/contract";
import { controlName } from "./control";
import { projectId } from "./route";
import { noteSignedOut } from "./session";

const MOST_KEPT = 4000;
const MOST_AT_ONCE = 64;
const GATHER_MS = 20;
const RETRY_MS = 1500;

export type Detail = TaskDetail | "loading" | "failed";

let kept = new Map<number, Signal<Detail>>();
let wanted: number[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

effect(() => {
  // Other projects have other tasks, other tags other regions.
  void projectId.value;
  void controlName.value;
  kept = new Map();
  wanted = [];
});

export function detailOf(task: number): Signal<Detail> {
  const known = kept.get(task);
  const made = known ?? signal<Detail>("loading");
  // Who is looked at is the last to go.
  kept.delete(task);
  kept.set(task, made);
  if (known) return known;
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value as number);
  wanted.push(task);
  gather();
  return made;
}

/** Look at tasks again; what is shown of them stays until the answer is there. */
export function refreshDetails(): void {
  wanted = [...kept.keys()].slice(-MOST_AT_ONCE * 4);
  for (const task of kept.keys()) if (!wanted.includes(task)) kept.delete(task);
  gather();
}

/** Grows when all that failed is tried again, pictures as well. */
export const attempts = signal(0);

/** Read again what could not be read. */
export function tryAgain(): void {
  attempts.value++;
  for (const [task, place] of kept) {
    if (place.peek() !== "failed") continue;
    place.value = "loading";
    wanted.push(task);
  }
  gather();
  // A picture that is refused says not why.
  client.session().catch(noteSignedOut);
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

/** A short outage is waited for once. */
async function fetchSome(id: number, name: string, ids: number[], again = true): Promise<void> {
  const places = kept;
  const answers = new Map<number, Detail>(ids.map((task) => [task, "failed"]));
  let outage = false;
  try {
    for (const detail of await client.tasks(id, ids, name)) answers.set(detail.task, detail);
  } catch (error) {
    noteSignedOut(error);
    outage = client.isOutage(error);
    if (outage && again) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS * (0.75 + Math.random() / 2)));
      if (places === kept) await fetchSome(id, name, ids, false);
      return;
    }
  }
  for (const [task, detail] of answers) {
    const place = places.get(task);
    // An outage takes nothing away; any other failure says that it may not be shown any longer.
    if (place && !(outage && typeof place.peek() === "object")) place.value = detail;
  }
}
