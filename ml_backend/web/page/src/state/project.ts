/** The open project, its points, and what the view's filters make of them. */

import { computed, effect, signal, untracked } from "@preact/signals";
import * as client from "../api/client";
import type { Control, Part, Project } from "../api/contract";
import { findAmid } from "../core/amid";
import { colorBy } from "../core/coloring";
import { Counting, type Counts } from "../core/counting";
import { type Points, readPoints } from "../core/points";
import { rowsOfArea, rowsOfItems } from "../core/selection";
import { sortRows } from "../core/sorting";
import { Space } from "../core/space";
import { current, loader } from "./loading";
import { projectId, view } from "./route";
import { session } from "./session";
import { isDark } from "./theme";

/** Points and what is worked out of them once. */
export interface Data {
  points: Points;
  space: Space;
  amid: Uint8Array;
  counting: Counting;
}

/** What passes the filters, in the order of the view. */
export interface Answer {
  data: Data;
  counts: Counts;
  rows: Uint32Array;
  /** Whether an area narrows the rows. */
  hasArea: boolean;
  /** Rows that were picked one by one. */
  picked: ReadonlySet<number>;
}

const SIMILAR = 60;
const SEARCH_PAUSE_MS = 250;

export const project = loader<Project>();
export const data = loader<Data>();
/** Distances of similar rows, nearest first, by "task.region". */
const similar = loader<ReadonlyMap<string, number>>();
/** Tasks that a text was found in. */
const found = loader<{ tasks: ReadonlySet<number>; more: boolean }>();

export const searching = computed(() => found.value.value);
export const similarity = computed(() => similar.value.value);

export const openProject = computed(() => current(project.value.value));
/** Whether who is signed in may act, or only look. */
export const mayChange = computed(() => openProject.value?.may_change === true);

/** The control tag of the view, the project's first where it names none. */
export const control = computed<Control | null>(() => {
  const controls = openProject.value?.controls ?? [];
  const named = controls.find(({ name }) => name === view.value.control);
  return named ?? controls.find(({ scored }) => scored) ?? controls[0] ?? null;
});

export const part = computed<Part>(() => {
  const parts = control.value?.parts ?? [];
  return parts.includes(view.value.part) ? view.value.part : (parts[0] ?? "inputs");
});

const controlName = computed(() => control.value?.name ?? null);
const filters = computed(() => view.value.filters);
const searched = computed(() => view.value.filters.search);
const similarTo = computed(() => view.value.similar?.join(".") ?? null);
/** Grows when the points must be fetched again. */
const round = signal(0);

/** Whether points have changed while they were on their way. */
let again = false;

export function fetchPointsAgain(): void {
  // A million points take longer than a run takes between two events.
  if (data.value.peek().state === "loading") again = true;
  else round.value++;
}

function fetchWhatCameMeanwhile(): void {
  if (!again) return;
  again = false;
  fetchPointsAgain();
}

async function fetchData(id: number, name: string, which: Part): Promise<Data> {
  const points = readPoints(await client.points(id, name, which));
  // Each of these takes a moment with a million points; the page answers in between.
  await pause();
  const space = new Space(points.x, points.y);
  await pause();
  const amid = findAmid(points.label, space);
  await pause();
  return { points, space, amid, counting: new Counting(points, amid) };
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

effect(() => {
  const id = projectId.value;
  project.clear();
  if (session.value && id !== null) void project.load(() => client.project(id));
});

let shownPoints = "";
effect(() => {
  const id = projectId.value;
  const name = controlName.value;
  const which = part.value;
  const turn = round.value;
  if (id === null || name === null) {
    data.clear();
    return;
  }
  untracked(() => {
    // Points of another control are no stand-in while those asked for are on their way.
    const wanted = `${id} ${name} ${which}`;
    if (wanted !== shownPoints || turn === 0) data.clear();
    shownPoints = wanted;
    void data.load(() => fetchData(id, name, which)).then(fetchWhatCameMeanwhile);
  });
});

effect(() => {
  const [id, text] = [projectId.value, searched.value];
  if (id === null || text === "") {
    found.clear();
    return;
  }
  const timer = setTimeout(() => {
    void found.load(async () => {
      const { tasks, more } = await client.search(id, text);
      return { tasks: new Set(tasks), more };
    });
  }, SEARCH_PAUSE_MS);
  return () => clearTimeout(timer);
});

effect(() => {
  const [id, name, item] = [projectId.value, controlName.value, similarTo.value];
  if (id === null || name === null || item === null) {
    similar.clear();
    return;
  }
  const [task, region] = item.split(".").map(Number);
  untracked(() => {
    void similar.load(async () => {
      const near = await client.similar(id, name, task, region, SIMILAR);
      const distances = near.map((one) => [`${one.task}.${one.region}`, one.distance] as const);
      return new Map([[item, 0], ...distances]);
    });
  });
});

export const currentData = computed(() => current(data.value.value));

const colorField = computed(() => view.value.color);
export const coloring = computed(() => {
  const points = currentData.value?.points;
  return points ? colorBy(points, colorField.value, isDark()) : null;
});

const sortKey = computed(() => view.value.sort.key);
const descending = computed(() => view.value.sort.descending);
const order = computed(() => {
  const points = currentData.value?.points;
  const sort = { key: sortKey.value, descending: descending.value };
  return points ? sortRows(points, sort) : null;
});

// A new view is a new object each time: only another area may set its bits anew.
const areaText = computed(() => JSON.stringify(view.value.area));
const within = computed(() => {
  const now = currentData.value;
  void areaText.value;
  return now ? rowsOfArea(view.peek().area, now.space) : null;
});

const pickedText = computed(() => JSON.stringify(view.value.picked));
const picked = computed<ReadonlySet<number>>(() => {
  const now = currentData.value;
  void pickedText.value;
  return now ? rowsOfItems(view.peek().picked, now.points) : new Set();
});

const bits = computed(() => {
  const now = currentData.value;
  if (!now) return null;
  const { counting, points } = now;
  const inside = within.value;
  counting.set("area", inside ? (row) => inside[row] === 1 : null);
  const near = current(similar.value.value);
  const nearTasks = new Set([...(near?.keys() ?? [])].map((key) => Number(key.split(".")[0])));
  const isNear = (row: number) =>
    nearTasks.has(points.task[row]) && near?.has(`${points.task[row]}.${points.region[row]}`);
  counting.set("similar", near && similarTo.value ? (row) => isNear(row) === true : null);
  const tasks = current(found.value.value)?.tasks;
  counting.set("search", tasks ? (row) => tasks.has(points.task[row]) : null);
  return {};
});

const filtersText = computed(() => JSON.stringify(filters.value));
const counted = computed(() => {
  const now = currentData.value;
  if (!now || !bits.value) return null;
  void filtersText.value;
  now.counting.apply(filters.peek());
  return { counts: now.counting.count() };
});

const shown = computed(() => {
  const now = currentData.value;
  const [done, sorted] = [counted.value, order.value];
  if (!now || !done || !sorted) return null;
  const rows = now.counting.rows(sorted);
  const near = current(similar.value.value);
  const ranked = near && similarTo.value ? byDistance(rows, now.points, near) : rows;
  return { data: now, counts: done.counts, rows: ranked, hasArea: within.value !== null };
});

export const answer = computed<Answer | null>(() => {
  const now = shown.value;
  return now && { ...now, picked: picked.value };
});

function byDistance(
  rows: Uint32Array,
  points: Points,
  distance: ReadonlyMap<string, number>,
): Uint32Array {
  const of = (row: number) => distance.get(`${points.task[row]}.${points.region[row]}`) ?? 0;
  return rows.toSorted((a, b) => of(a) - of(b));
}
