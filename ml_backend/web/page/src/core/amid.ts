/**
 * Points of one class amid another's cluster.
 *
 * A point stands out when, of the labelled points in its cell of the plane and the eight around it,
 * few have its label and most have one other. Cells are small where there are many points (see
 * space.ts).
 */

import type { Words } from "./points";
import type { Space } from "./space";

const MOST_OWN = 0.1;
const LEAST_OTHER = 0.6;
const LEAST_AROUND = 12;

/** 1 where a row stands amid another class's points. Rows without a label never do. */
export function findAmid(label: Words, space: Space): Uint8Array {
  const found = new Uint8Array(label.codes.length);
  const counts = new Uint32Array(label.words.length);
  const nothing = label.words.indexOf("");
  for (let line = 0; line < space.cells; line++) {
    for (let column = 0; column < space.cells; column++) {
      const rows = space.rowsIn(column, line);
      if (rows.length === 0) continue;
      countAround(space, column, line, label, counts);
      if (nothing >= 0) counts[nothing] = 0;
      markCell(rows);
    }
  }
  return found;

  function markCell(rows: Uint32Array): void {
    let around = 0;
    let most = 0;
    for (const n of counts) {
      around += n;
      most = Math.max(most, n);
    }
    if (around < LEAST_AROUND || most < LEAST_OTHER * around) return;
    for (const row of rows) {
      const code = label.codes[row];
      if (code !== nothing && counts[code] <= MOST_OWN * around) found[row] = 1;
    }
  }
}

function countAround(
  space: Space,
  column: number,
  line: number,
  label: Words,
  counts: Uint32Array,
): void {
  counts.fill(0);
  for (let b = Math.max(line - 1, 0); b <= Math.min(line + 1, space.cells - 1); b++) {
    for (let a = Math.max(column - 1, 0); a <= Math.min(column + 1, space.cells - 1); a++) {
      for (const row of space.rowsIn(a, b)) counts[label.codes[row]]++;
    }
  }
}
