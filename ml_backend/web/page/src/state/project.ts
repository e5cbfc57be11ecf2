/** The points of the open project, and what the view's filters make of them. */

import { computed, effect, untracked } from "@preact/signals";
import * as client from "../api/client";
import type { Part } from "../api/contract";
import { findAmid } from "../core/amid";
import { colorBy } from "../core/coloring";
import { Counting, type Counts, type Dimension } from "../core/counting";
import { isWordField } from "../core/fields";
import { MOST_CLASSES } from "../core/palette";
import { type Points, readPoints } from "../core/points";
import { keyOf, rowsOfArea, rowsOfItems } from "../core/selection";
import { sortRows } from "../core/sorting";
import { Space } from "../core/space";
import { cell, found, type Stand, similar } from "./asked";
import { controlName, part, round } from "./control";
import { current, loader } from "./loading";
import { projectId, view } from "./route";
import { isDark } from "./theme";

export { control, mayChange, openProject, part, project } from "./control";

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

export const data = loader<Data>();

export const searching = computed(() => found.value.value);
export const similarity = computed(() => similar.value.value);

const filters = computed(() => view.value.filters);

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

export const currentData = computed(() => current(data.value.value));

const colorField = computed(() => view.value.color);
/** The words of which colours are looked at, as one text; "" where there are colours for all. */
const wantedColors = computed(() => {
  const [points, field] = [currentData.value?.points, colorField.value];
  if (!points || !isWordField(field)) return "";
  const labels = field === "predicted" ? points.label.words.length : 0;
  if (points[field].words.length + labels <= MOST_CLASSES) return "";
  const counts = counted.value?.counts.words[field] ?? new Map<string, number>();
  const passing = [...counts].flatMap(([word, n]) => (n > 0 ? [word] : []));
  return JSON.stringify(view.value.filters.words[field] ?? passing);
});
export const coloring = computed(() => {
  const points = currentData.value?.points;
  const wanted = new Set<string>(JSON.parse(wantedColors.value || "[]") as string[]);
  return points ? colorBy(points, colorField.value, isDark(), wanted) : null;
});

const sortKey = computed(() => view.value.sort.key);
const descending = computed(() => view.value.sort.descending);
const order = computed(() => {
  const points = currentData.value?.points;
  const sort = { key: sortKey.value, descending: descending.value };
  return points ? sortRows(points, sort) : null;
});

/** Whether the area was drawn on another plane: nobody knows which points are meant in this one. */
export const areaIsStale = computed(() => {
  const now = currentData.value;
  const { area, plane } = view.value;
  return now !== null && area.length > 0 && plane !== now.points.plane;
});

// A new view is a new object each time: only another area may set its bits anew.
const areaText = computed(() => JSON.stringify(view.value.area));
const within = computed(() => {
  const now = currentData.value;
  void areaText.value;
  if (!now) return null;
  return areaIsStale.value
    ? new Uint8Array(now.points.length)
    : rowsOfArea(view.peek().area, now.space);
});

const pickedText = computed(() => JSON.stringify(view.value.picked));
const picked = computed<ReadonlySet<number>>(() => {
  const now = currentData.value;
  void pickedText.value;
  return now ? rowsOfItems(view.peek().picked, now.points) : new Set();
});

type Test = (row: number) => boolean;

const bits = computed(() => {
  const now = currentData.value;
  if (!now) return null;
  const { counting, points } = now;
  const inside = within.value;
  counting.set("area", inside ? (row) => inside[row] === 1 : null);
  const answered = (dimension: Dimension, stand: Stand, test: Test) => {
    // Meanwhile what is shown stays: nothing in it can be acted on.
    if (stand === "waiting") return;
    counting.set(dimension, stand === "none" ? null : stand === "failed" ? () => false : test);
  };
  const near = similar.answer.value;
  const nearTasks = new Set([...(near?.keys() ?? [])].map((key) => Number(key.split(".")[0])));
  answered("similar", similar.stand.value, (row) => {
    const task = points.task[row];
    return nearTasks.has(task) && near?.has(`${task}.${points.region[row]}`) === true;
  });
  const tasks = found.answer.value?.tasks;
  answered("search", found.stand.value, (row) => tasks?.has(points.task[row]) === true);
  const keys = cell.answer.value?.keys;
  answered("cell", cell.stand.value, (row) => {
    return keys?.has(keyOf(points.task[row], points.region[row])) === true;
  });
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
  const near = similar.answer.value;
  const ranked = near ? byDistance(rows, now.points, near) : rows;
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
