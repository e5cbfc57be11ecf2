/** Which row the pointer or the keyboard is at, and what is shown over the page. */

import { computed, effect, signal } from "@preact/signals";
import type { Points } from "../core/points";
import type { How, Item } from "../core/selection";
import { controlName, part } from "./control";
import { answer, currentData } from "./project";
import { projectId, view } from "./route";

/** The item under the keyboard's cursor in the grid, and the row where it was seen last. */
const cursor = signal<{ item: Item; row: number } | null>(null);

/** Row under the keyboard's cursor, -1 for none: what is not shown is not acted on. */
export const focused = computed(() => {
  const [now, at] = [answer.value, cursor.value];
  if (!now || !at) return -1;
  const row = rowOf(now.data.points, at.item, at.row);
  return row >= 0 && now.data.counting.mask[row] === 0 ? row : -1;
});

/** The cursor's place among what is shown, -1 for none. */
export const place = computed(() => {
  // Rows are in the order of a score: they have to be looked through.
  return focused.value < 0 ? -1 : (answer.value?.rows.indexOf(focused.value) ?? -1);
});

/** What the rows answer to: filters, order, area, and what they are of. */
export const asked = computed(() => {
  const { filters, sort, area, similar, cell } = view.value;
  const of = [projectId.value, controlName.value, part.value];
  return JSON.stringify([of, filters, sort, area, similar, cell]);
});
let last = { asked: "", place: 0 };
effect(() => {
  if (place.value >= 0) last = { asked: asked.value, place: place.value };
});

/** Where the cursor goes on once its sample has left: where it was, while the same is asked for. */
export const placeToStart = (): number => (last.asked === asked.peek() ? last.place : 0);

/** Grows as the cursor is moved: its place changes also when others change the points. */
export const moves = signal(0);

export function focusRow({ task, region }: Points, row: number): void {
  moves.value = moves.peek() + 1;
  cursor.value = row < 0 ? null : { item: [task[row], region[row]], row };
}

/** The row of an item; its row may be another one once points were fetched anew. */
function rowOf({ task, region }: Points, item: Item, before: number): number {
  const is = (row: number) => task[row] === item[0] && region[row] === item[1];
  if (is(before)) return before;
  let row = task.indexOf(item[0]);
  while (row >= 0 && !is(row)) row = task.indexOf(item[0], row + 1);
  return row;
}

/** Row under the pointer, wherever it is shown. */
export const hovered = signal(-1);
effect(() => {
  // Of other points, a row is another item.
  void currentData.value?.points;
  hovered.value = -1;
});

/** Row that the map marks: of pointer and cursor, where the later one went. */
export const marked = signal(-1);
effect(() => {
  marked.value = hovered.value < 0 ? focused.peek() : hovered.value;
});
effect(() => {
  marked.value = focused.value;
});

export type Tile = "small" | "medium" | "large";
export const TILE_PX: Readonly<Record<Tile, number>> = { small: 112, medium: 160, large: 240 };
export const tile = signal<Tile>("medium");

/** What becomes of the area when another is drawn and no key says it. */
export const areaHow = signal<How>("replace");
effect(() => {
  // Of nothing, nothing can be taken.
  if (view.value.area.length === 0 && areaHow.value === "subtract") areaHow.value = "replace";
});

/** Whether points of one class amid another's cluster stand out. */
export const showAmid = signal(true);
export const showHuman = signal(true);
export const showModel = signal(true);
/** Whether the side bar is open where there is no room for it beside the rest. */
export const sidebarOpen = signal(false);
export const keysOpen = signal(false);
