/** What a person does with tasks: on which, the one question, progress, and taking it back. */

import { computed, signal } from "@preact/signals";
import * as client from "../api/client";
import type { ActionName, ActionOptions, ActionState, DryRun } from "../api/contract";
import { countFilters } from "../core/filters";
import { plural } from "../core/format";
import { tasksOf } from "../core/points";
import { focused } from "./focus";
import { answer, part } from "./project";
import { projectId, view } from "./route";
import { noteSignedOut } from "./session";

export const FLAGGED = "needs-review";

/** Leave out what needs review. */
export const excludeFlagged = signal(false);

export interface Target {
  tasks: Int32Array;
  /** Number of points; of regions, several can be in one task. */
  rows: number;
  /** What they are, for a person: "56 selected". */
  said: string;
  /** Whether anything was picked, drawn or filtered. */
  narrowed: boolean;
}

const NO_ROWS = new Uint32Array();

/** What the bar's buttons act on: what is picked, else what is shown. */
export const target = computed<Target>(() => {
  const now = answer.value;
  if (!now) return { tasks: new Int32Array(), rows: 0, said: "", narrowed: false };
  const { points } = now.data;
  const { passing } = now.counts;
  const picked = now.picked.size > 0 ? passing.filter((row) => now.picked.has(row)) : NO_ROWS;
  const chosen = picked.length > 0 ? picked : passing;
  const kept = excludeFlagged.value ? notFlagged(chosen) : chosen;
  const found = { tasks: tasksOf(points, kept), rows: kept.length, narrowed: true };
  const things = plural(kept.length, part.value === "regions" ? "region" : "item");
  if (picked.length > 0) return { ...found, said: `${things} picked` };
  if (now.hasArea) return { ...found, said: `${things} in the area` };
  const asked = countFilters(view.value.filters) > 0 || view.value.similar !== null;
  return { ...found, said: asked ? `${things} match` : `All ${things}`, narrowed: asked };
});

function notFlagged(rows: Uint32Array): Uint32Array {
  const flag = answer.value?.data.points.flag;
  const code = flag?.words.indexOf(FLAGGED) ?? -1;
  return rows.filter((row) => flag?.codes[row] !== code);
}

const MANY = 1000;

/** Do what can be taken back at once; ask first where it is all of a project or very many. */
export function performOrAsk(action: ActionName, { tasks, narrowed }: Target): void {
  if (narrowed && tasks.length <= MANY) void perform(action, tasks);
  else question.value = { action, tasks };
}

/** What keys act on: what is picked or in the area, else the item at the cursor. */
export function tasksAtHand(): Int32Array {
  const now = answer.peek();
  if (!now) return new Int32Array();
  if (now.picked.size > 0 || now.hasArea) return target.peek().tasks;
  const row = focused.peek();
  return row < 0 ? new Int32Array() : Int32Array.of(now.data.points.task[row]);
}

/** Actions that are shown, the newest first. */
export const actions = signal<readonly ActionState[]>([]);

/** Seconds after which the end of an action that was not under way here is no news. */
const NEWS_S = 60;

/** The question that is open. */
export interface Question {
  action: ActionName;
  tasks: Int32Array;
}
export const question = signal<Question | null>(null);

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

export async function perform(
  action: ActionName,
  tasks: Int32Array,
  options: ActionOptions = {},
): Promise<void> {
  const id = projectId.peek();
  if (id === null || tasks.length === 0) return;
  const base = { action, total: tasks.length, done: 0, ended: 0, undoable: false } as const;
  try {
    const started = await client.act(id, action, tasks, options);
    // The first event may have come before this answer.
    if (!actions.peek().some((one) => one.id === started.id)) {
      noteAction({ ...base, id: started.id, state: "queued", said: "" });
    }
  } catch (error) {
    noteSignedOut(error);
    const said = (error as Error).message;
    noteAction({ ...base, id: `local-${Date.now()}`, state: "failed", said });
  }
}

export async function takeBack(action: ActionState): Promise<void> {
  try {
    await client.undo(action.id);
    noteAction({ ...action, undoable: false, said: "Taken back." });
  } catch (error) {
    noteAction({ ...action, said: (error as Error).message });
  }
}

export function tryOut(
  action: ActionName,
  tasks: Int32Array,
  options: ActionOptions,
): Promise<DryRun> {
  return client.tryAction(projectId.peek() as number, action, tasks, options);
}
