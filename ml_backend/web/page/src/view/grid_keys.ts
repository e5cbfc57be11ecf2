/** What keys do in the grid. */

import { focused } from "../state/focus";
import type { Answer } from "../state/project";
import { itemKey, step, toggleRow } from "./item_keys";

/** How far a key moves the cursor in a grid of so many columns and seen lines. */
function stepOf(key: string, columns: number, lines: number, count: number): number | null {
  const page = Math.max(lines, 1) * columns;
  const steps: Record<string, number> = {
    ...{ ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns },
    ...{ PageDown: page, PageUp: -page, Home: -count, End: count },
  };
  return steps[key] ?? null;
}

export function gridKey(event: KeyboardEvent, now: Answer, columns: number, lines: number): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const by = stepOf(event.key, columns, lines, now.rows.length);
  if (by !== null) {
    event.preventDefault();
    step(now, by);
    const row = focused.peek();
    if (event.shiftKey && row >= 0 && !now.picked.has(row)) toggleRow(now, row);
  } else if (itemKey(event, now)) event.preventDefault();
}
