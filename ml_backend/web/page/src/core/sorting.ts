/** Rows in the order of a score. */

import type { AmountField } from "./fields";
import { filled, type Points } from "./points";

export type SortKey = AmountField | "updated" | "task";
export interface Sort {
  key: SortKey;
  descending: boolean;
}

/** 2 ** 22: room for that many rows beside 31 bits of the value in a double's 53. */
const ROWS = 4_194_304;

/** All rows by a score; unknown ones last, equal ones in their own order. */
export function sortRows(points: Points, { key, descending }: Sort): Uint32Array {
  const values = points[key];
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const most = 2 ** 31 - 2;
  const scale = high > low ? most / (high - low) : 0;
  // One number per row, so that the engine's own sort of numbers does it.
  const keys = filled(new Float64Array(points.length), (row) => {
    const place = Math.round((values[row] - low) * scale);
    const rank = Number.isNaN(place) ? most + 1 : descending ? most - place : place;
    return rank * ROWS + row;
  });
  keys.sort();
  return filled(new Uint32Array(points.length), (place) => keys[place] % ROWS);
}
