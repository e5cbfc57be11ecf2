/** What keys do in the grid. */

import type { Points } from "../core/points";
import { toggleItem } from "../core/selection";
import { focused, focusRow } from "../state/focus";
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

/** How far a key moves the cursor in a grid of so many columns and seen lines. */
function stepOf(key: string, columns: number, lines: number, count: number): number | null {
  const page = Math.max(lines, 1) * columns;
  const steps: Record<string, number> = {
    ...{ ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns },
    ...{ PageDown: page, PageUp: -page, Home: -count, End: count },
  };
  return steps[key] ?? null;
}

/** @param start the place where the cursor begins when it is nowhere. */
export function gridKey(
  event: KeyboardEvent,
  now: Answer,
  columns: number,
  lines: number,
  start: number,
): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { rows } = now;
  const step = stepOf(event.key, columns, lines, rows.length);
  const row = focused.peek();
  if (step !== null) {
    event.preventDefault();
    const place = row < 0 ? start : Math.max(rows.indexOf(row), 0) + step;
    const next = rows[Math.min(Math.max(place, 0), rows.length - 1)] ?? -1;
    focusRow(now.data.points, next);
    if (event.shiftKey && next >= 0 && !now.picked.has(next)) toggleRow(now, next);
  } else if (row >= 0 && event.key === " ") {
    event.preventDefault();
    toggleRow(now, row);
  } else if (row >= 0 && event.key === "Enter") {
    event.preventDefault();
    openTask(now.data.points.task[row]);
  } else if (row >= 0 && event.key === "m") {
    moreLike(now.data.points, row);
  }
}
