/** Amounts in even bins over [0, 1], which say how many a range would let pass. */

import { filled } from "./points";

/** Each is 0.05 wide, so that the usual limits are edges of bins. */
export const BINS = 20;
/** The bin of what is not known, after all others. */
const UNKNOWN = BINS;

/** How many rows are in each bin, and of how many that is not known. */
export interface Spread {
  counts: Uint32Array;
  unknown: number;
}

// What is stored is float32, and the ends of a range are compared as such.
const EDGES = Float32Array.from({ length: BINS }, (_, bin) => bin / BINS);

export function binsOf(values: Float32Array): Uint8Array {
  return filled(new Uint8Array(values.length), (row) => binOf(values[row]));
}

function binOf(value: number): number {
  if (Number.isNaN(value)) return UNKNOWN;
  const bin = Math.min(Math.floor(value * BINS), BINS - 1);
  // 0.9 as float32 is a little less than 18 bins, and is at least 0.9 all the same.
  return value >= EDGES[bin + 1] ? bin + 1 : bin;
}

/** What was counted per bin, the unknown last. */
export function spread(tallied: Uint32Array): Spread {
  const bins = tallied.length - 1;
  return { counts: tallied.subarray(0, bins), unknown: tallied[bins] };
}

/** How many are in a bin or a later one. */
export function countFrom(counts: Uint32Array, bin: number): number {
  return counts.subarray(bin).reduce((sum, n) => sum + n, 0);
}

/** How many amounts are at least so much, of an edge of bins. */
export const countAtLeast = (counts: Uint32Array, least: number): number =>
  countFrom(counts, Math.round(least * BINS));
