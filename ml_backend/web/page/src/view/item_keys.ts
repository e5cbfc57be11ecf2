/** What is done with one sample: by its buttons, and by keys wherever its cursor is seen. */

import type { Points } from "../core/points";
import { toggleItem } from "../core/selection";
import { focused, focusRow, place, placeToStart } from "../state/focus";
import { type Answer, openProject } from "../state/project";
import { changeView, view } from "../state/route";

export function toggleRow(now: Answer, row: number): void {
  const { points } = now.data;
  const item = [points.task[row], points.region[row]] as const;
  changeView({ picked: toggleItem(view.peek().picked, item) }, "replace");
}

export function moreLike(points: Points, row: number): void {
  changeView({ similar: [points.task[row], points.region[row]], cell: null, area: [], picked: [] });
}

/** Open a task in Label Studio, in a tab of its own. */
export function openTask(task: number): void {
  open(`${openProject.peek()?.url}?task=${task}`, "_blank", "noopener");
}

/** Move the cursor by so many samples, in the order of the grid. */
export function step(now: Answer, by: number): void {
  const { rows } = now;
  // Where its sample has left, the next one has taken the cursor's place.
  const onward = place.peek() < 0 ? placeToStart() + Math.min(by, 0) : place.peek() + by;
  focusRow(now.data.points, rows[Math.min(Math.max(onward, 0), rows.length - 1)] ?? -1);
}

/** Where a button has the focus, these two are its own. Held down, they act once. */
export function itemKey({ key, repeat }: KeyboardEvent, now: Answer): boolean {
  const row = focused.peek();
  if (row < 0 || (key !== " " && key !== "Enter")) return false;
  if (repeat) return true;
  if (key === " ") toggleRow(now, row);
  else openTask(now.data.points.task[row]);
  return true;
}
