/** What a person does with tasks: on which, the one question, progress, and taking it back. */

import { computed, effect, signal, untracked } from "@preact/signals";
import * as client from "../api/client";
import type {
  ActionName,
  ActionOptions,
  ActionRequest,
  ActionState,
  DryRun,
  Shown,
} from "../api/contract";
import { newestOf } from "../core/action_titles";
import { countFilters } from "../core/filters";
import { plural } from "../core/format";
import { shownOf, tasksOf } from "../core/points";
import { type Item, keyOf } from "../core/selection";
import { unanswered } from "./asked";
import { controlName, readProject } from "./control";
import { focused } from "./focus";
import { answer, areaIsStale, control, currentData, mayChange, part } from "./project";
import { changeView, projectId, room, view } from "./route";
import { noteSignedOut, session } from "./session";

export const FLAGGED = "needs-review";

/** What is acted on, fixed when it is asked for: points may be fetched anew meanwhile. */
export interface Chosen {
  tasks: Int32Array;
  /** Empty where points are whole inputs. */
  regions: readonly Item[];
  shown: readonly Shown[];
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
const NOTHING: Target = { tasks: new Int32Array(), rows: NO_ROWS, said: "", narrowed: true };

/** Picked rows that are shown: what a filter hides is not acted on. */
const pickedRows = computed(() => {
  const now = answer.value;
  if (!now || now.picked.size === 0) return NO_ROWS;
  return now.counts.passing.filter((row) => now.picked.has(row));
});

/** What the bar's buttons act on: what is picked, else what is shown. */
export const target = computed<Target>(() => {
  const now = answer.value;
  if (!now || unanswered.value) return NOTHING;
  if (areaIsStale.value) {
    return { ...NOTHING, said: "The map was laid out anew: draw the area again" };
  }
  const { points } = now.data;
  const { picked, filters, similar, cell } = view.value;
  const chosen = picked.length > 0 ? pickedRows.value : now.counts.passing;
  if (picked.length > 0 && chosen.length === 0) {
    return { ...NOTHING, said: "Nothing that is picked is shown" };
  }
  const kept = view.value.excludeFlagged ? notFlagged(chosen) : chosen;
  const found = { tasks: tasksOf(points, kept), rows: kept, narrowed: true };
  const things = plural(kept.length, part.value === "regions" ? "region" : "item");
  if (picked.length > 0) return { ...found, said: `${things} picked` };
  if (now.hasArea) return { ...found, said: `${things} in the area` };
  const asked = countFilters(filters) > 0 || similar !== null || cell !== null;
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
  if (part.peek() !== "regions" || !points) return { tasks, regions: [], shown: [] };
  const regions = Array.from(rows, (row) => [points.task[row], points.region[row]] as const);
  return { tasks, regions, shown: shownOf(points, rows) };
}

/** Ask before an action is begun; what the project says of it may have changed. */
export function ask(action: ActionName, now: Target): void {
  void readProject();
  question.value = { action, ...chosen(now) };
}

/** Do what can be taken back at once; ask first where it is all of a project or very many. */
export function performOrAsk(action: ActionName, now: Target): void {
  if (now.narrowed && now.tasks.length <= MANY) void perform(action, chosen(now));
  else ask(action, now);
}

/** What keys act on: what is picked or in the area; where that is nothing, the cursor's item. */
export function atHand(): Target {
  const now = answer.peek();
  if (!now || unanswered.peek()) return NOTHING;
  const chosenByHand = view.peek().picked.length > 0 || now.hasArea;
  if (chosenByHand && target.peek().rows.length > 0) return target.peek();
  const row = focused.peek();
  const rows = row < 0 ? NO_ROWS : Uint32Array.of(row);
  return { ...NOTHING, tasks: tasksOf(now.data.points, rows), rows };
}

/** Of more, a key asks whether the area is meant, or the one sample of it at the cursor. */
const HANDFUL = 5;

/** As a button does; only that with the cursor in an area a key may mean either. */
export function performOrAskByKey(action: ActionName, now: Target): void {
  const isUnsure = focused.peek() >= 0 && view.peek().picked.length === 0;
  if (isUnsure && now.tasks.length > HANDFUL) ask(action, now);
  else performOrAsk(action, now);
}

/** Items that were picked when an action took them. */
let taken: ReadonlySet<number> = new Set();

function noteTaken({ tasks, regions }: Chosen): void {
  const inTasks = new Set(tasks);
  const named = new Set(regions.map((item) => keyOf(...item)));
  const isIn = (item: Item) => (named.size > 0 ? named.has(keyOf(...item)) : inTasks.has(item[0]));
  const now = view.peek().picked.filter(isIn);
  taken = new Set([...taken, ...now.map((item) => keyOf(...item))]);
}

/** What an action has led out of the view is picked no longer. */
function unpickTaken(): void {
  const now = answer.peek();
  if (!now || taken.size === 0) return;
  const { points } = now.data;
  const shown = new Set(
    Array.from(pickedRows.peek(), (row) => keyOf(points.task[row], points.region[row])),
  );
  const { picked } = view.peek();
  const stays = (key: number) => shown.has(key) || !taken.has(key);
  const rest = picked.filter((item) => stays(keyOf(...item)));
  taken = new Set(rest.map((item) => keyOf(...item)).filter((key) => taken.has(key)));
  if (rest.length < picked.length) changeView({ picked: rest }, "replace");
}

effect(() => {
  if (currentData.value) untracked(unpickTaken);
});

/** What is known of actions that are news, the newest first. */
export const actions = signal<readonly ActionState[]>([]);

const MOST_SHOWN = 4;

/** Those that have a note. */
export const notes = computed(() => actions.value.slice(0, MOST_SHOWN));

/** Whether somebody else did it. */
export const isOthers = ({ by }: ActionState): boolean =>
  by !== "" && by !== session.value?.user.name;

/** Actions that nobody wants to see, by when they had ended then. */
const dismissed = new Map<string, number>();

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
  dismissed.clear();
  taken = new Set();
});

effect(() => {
  // It was asked about what is not seen any longer, under another tag its regions are others.
  void [projectId.value, room.value, controlName.value, part.value];
  question.value = null;
});

/** Show an action as it stands; false for what is no news. */
export function noteAction(state: ActionState): boolean {
  if (dismissed.get(state.id) === state.ended) return false;
  const known = actions.peek().some(({ id }) => id === state.id);
  if (!known && state.ended > 0 && Date.now() / 1000 - state.ended > NEWS_S) return false;
  actions.value = known
    ? actions.peek().map((one) => (one.id === state.id ? { ...one, ...state } : one))
    : newestOf([state, ...actions.peek()]);
  return true;
}

/** Show an action no longer, until it ends, or is taken back. */
export function dismiss({ id, ended }: ActionState): void {
  dismissed.set(id, ended);
  actions.value = actions.peek().filter((one) => one.id !== id);
}

function requestOf(
  action: ActionName,
  { tasks, regions, shown }: Chosen,
  options: ActionOptions,
): ActionRequest {
  const ofTasks = regions.length === 0 || action === "batch" || action === "approve";
  if (ofTasks) return { action, tasks: Array.from(tasks), options };
  const name = control.peek()?.name ?? "";
  return { action, regions, shown, options: { ...options, control: name } };
}

export async function perform(
  action: ActionName,
  what: Chosen,
  options: ActionOptions = {},
): Promise<void> {
  const total = what.tasks.length;
  if (total === 0) return;
  await begin(requestOf(action, what, options), total, () => noteTaken(what));
}

/** Bring back all answers that are ready, or these and what is open of a batch. */
export const performOnBatches = (action: "sync" | "withdraw", batch?: string): Promise<void> =>
  begin({ action, options: batch === undefined ? {} : { batch } }, 0);

async function begin(request: ActionRequest, total: number, begun?: () => void): Promise<void> {
  const id = projectId.peek();
  if (id === null) return;
  const { action } = request;
  const base = { action, total, done: 0, by: "", ended: 0, undoable: false } as const;
  try {
    const started = await client.act(id, request);
    if (projectId.peek() !== id) return;
    begun?.();
    // The first event may have come before this answer.
    if (!actions.peek().some((one) => one.id === started.id)) {
      noteAction({ ...base, id: started.id, state: "queued", said: "" });
    }
  } catch (error) {
    noteSignedOut(error);
    if (projectId.peek() !== id) return;
    const said = (error as Error).message;
    noteAction({ ...base, id: `local-${Date.now()}`, state: "failed", said });
  }
}

export async function takeBack(action: ActionState): Promise<void> {
  const id = projectId.peek();
  dismissed.delete(action.id);
  noteAction({ ...action, state: "undoing", done: 0, ended: 0, undoable: false, said: "" });
  try {
    await client.undo(action.id);
  } catch (error) {
    noteSignedOut(error);
    if (projectId.peek() === id) noteAction({ ...action, said: (error as Error).message });
  }
}

/** Take back what this person did last, as long as its note is shown. */
export function takeBackNewest(): boolean {
  const newest = notes.peek().find((one) => one.undoable && !isOthers(one));
  if (!newest || !mayChange.peek()) return false;
  void takeBack(newest);
  return true;
}

export function tryOut(action: ActionName, what: Chosen, options: ActionOptions): Promise<DryRun> {
  return client.tryAction(projectId.peek() as number, requestOf(action, what, options));
}
