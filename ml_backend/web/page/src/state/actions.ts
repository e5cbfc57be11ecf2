/** What a person does with tasks: on which, the one question, progress, and taking it back. */

import { computed, effect, signal } from "@preact/signals";
import * as client from "../api/client";
import type {
  ActionName,
  ActionOptions,
  ActionRequest,
  ActionState,
  DryRun,
} from "../api/contract";
import { countFilters } from "../core/filters";
import { plural } from "../core/format";
import { tasksOf } from "../core/points";
import type { Item } from "../core/selection";
import { focused } from "./focus";
import { answer, control, part } from "./project";
import { projectId, view } from "./route";
import { noteSignedOut } from "./session";

export const FLAGGED = "needs-review";

/** What is acted on, fixed when it is asked for: points may be fetched anew meanwhile. */
export interface Chosen {
  tasks: Int32Array;
  /** Empty where points are whole inputs. */
  regions: readonly Item[];
}

export interface Target {
  tasks: Int32Array;
  /** Rows of points; of regions, several can be in one task. */
  rows: Uint32Array;
  /** What they are, for a person: "56 selected". */
  said: string;
  /** Whether anything was picked, drawn or filtered. */
  narrowed: boolean;
}

const NO_ROWS = new Uint32Array();

/** What the bar's buttons act on: what is picked, else what is shown. */
export const target = computed<Target>(() => {
  const now = answer.value;
  if (!now) return { tasks: new Int32Array(), rows: NO_ROWS, said: "", narrowed: false };
  const { points } = now.data;
  const { passing } = now.counts;
  const picked = now.picked.size > 0 ? passing.filter((row) => now.picked.has(row)) : NO_ROWS;
  const chosen = picked.length > 0 ? picked : passing;
  const kept = view.value.excludeFlagged ? notFlagged(chosen) : chosen;
  const found = { tasks: tasksOf(points, kept), rows: kept, narrowed: true };
  const things = plural(kept.length, part.value === "regions" ? "region" : "item");
  if (picked.length > 0) return { ...found, said: `${things} picked` };
  if (now.hasArea) return { ...found, said: `${things} in the area` };
  const asked = countFilters(view.value.filters) > 0 || view.value.similar !== null;
  const match = kept.length === 1 ? "matches" : "match";
  return { ...found, said: asked ? `${things} ${match}` : `All ${things}`, narrowed: asked };
});

function notFlagged(rows: Uint32Array): Uint32Array {
  const flag = answer.value?.data.points.flag;
  const code = flag?.words.indexOf(FLAGGED) ?? -1;
  return rows.filter((row) => flag?.codes[row] !== code);
}

const MANY = 1000;

function chosen({ tasks, rows }: Target): Chosen {
  const points = answer.peek()?.data.points;
  if (part.peek() !== "regions" || !points) return { tasks, regions: [] };
  return { tasks, regions: Array.from(rows, (row) => [points.task[row], points.region[row]]) };
}

/** Ask before an action is begun. */
export function ask(action: ActionName, now: Target): void {
  question.value = { action, ...chosen(now) };
}

/** Do what can be taken back at once; ask first where it is all of a project or very many. */
export function performOrAsk(action: ActionName, now: Target): void {
  if (now.narrowed && now.tasks.length <= MANY) void perform(action, chosen(now));
  else ask(action, now);
}

/** What keys act on: what is picked or in the area, else the item at the cursor. */
export function atHand(): Target {
  const now = answer.peek();
  if (!now || now.picked.size > 0 || now.hasArea) return target.peek();
  const row = focused.peek();
  const rows = row < 0 ? NO_ROWS : Uint32Array.of(row);
  return { tasks: tasksOf(now.data.points, rows), rows, said: "", narrowed: true };
}

/** Actions that are shown, the newest first. */
export const actions = signal<readonly ActionState[]>([]);

/** Seconds after which the end of an action that was not under way here is no news. */
const NEWS_S = 60;

/** The question that is open. */
export interface Question extends Chosen {
  action: ActionName;
}
export const question = signal<Question | null>(null);

effect(() => {
  void projectId.value;
  actions.value = [];
  question.value = null;
});

/** Show an action as it stands; false for what is no news. */
export function noteAction(state: ActionState): boolean {
  const known = actions.peek().some(({ id }) => id === state.id);
  if (!known && state.ended > 0 && Date.now() / 1000 - state.ended > NEWS_S) return false;
  actions.value = known
    ? actions.peek().map((one) => (one.id === state.id ? { ...one, ...state } : one))
    : [state, ...actions.peek()];
  return true;
}

export function dismiss(id: string): void {
  actions.value = actions.peek().filter((one) => one.id !== id);
}

function requestOf(
  action: ActionName,
  { tasks, regions }: Chosen,
  options: ActionOptions,
): ActionRequest {
  const ofTasks = regions.length === 0 || action === "batch" || action === "approve";
  if (ofTasks) return { action, tasks: Array.from(tasks), options };
  const name = control.peek()?.name ?? "";
  return { action, regions, options: { ...options, control: name } };
}

export async function perform(
  action: ActionName,
  what: Chosen,
  options: ActionOptions = {},
): Promise<void> {
  const id = projectId.peek();
  const total = what.tasks.length;
  if (id === null || total === 0) return;
  const base = { action, total, done: 0, by: "", ended: 0, undoable: false } as const;
  try {
    const started = await client.act(id, requestOf(action, what, options));
    // The first event may have come before this answer, and another project be open by now.
    if (projectId.peek() === id && !actions.peek().some((one) => one.id === started.id)) {
      noteAction({ ...base, id: started.id, state: "queued", said: "" });
    }
  } catch (error) {
    noteSignedOut(error);
    const said = (error as Error).message;
    noteAction({ ...base, id: `local-${Date.now()}`, state: "failed", said });
  }
}

export async function takeBack(action: ActionState): Promise<void> {
  noteAction({ ...action, state: "undoing", done: 0, ended: 0, undoable: false, said: "" });
  try {
    await client.undo(action.id);
  } catch (error) {
    noteSignedOut(error);
    noteAction({ ...action, said: (error as Error).message });
  }
}

export function tryOut(action: ActionName, what: Chosen, options: ActionOptions): Promise<DryRun> {
  return client.tryAction(projectId.peek() as number, requestOf(action, what, options));
}
