/**
 * What is drawn: points in a random order, so that any first part of them is a fair sample of all,
 * in layers that lie over each other.
 */

import type { Rgb } from "../core/palette";
import { filled } from "../core/points";

export interface Layer {
  /** Places in the scene's own order, ascending. */
  places: Uint32Array;
  /** Pixels of the screen, before the device's own scale. */
  size: number;
  /** 0 to 1. */
  alpha: number;
  /** One colour for all points, instead of each one's own. */
  tint: Rgb | null;
}

export interface Scene {
  x: Float32Array;
  y: Float32Array;
  /** Per place, an index into the palette. */
  color: Uint8Array;
  palette: readonly Rgb[];
  layers: readonly Layer[];
}

/** The rows with a place in the plane, shuffled the same way each time. */
export function shuffledRows(x: Float32Array): Uint32Array {
  const rows = new Uint32Array(x.length);
  let n = 0;
  for (let row = 0; row < x.length; row++) if (!Number.isNaN(x[row])) rows[n++] = row;
  const found = rows.subarray(0, n);
  let state = 0x2545f491;
  for (let i = n - 1; i > 0; i--) {
    // Xorshift (G. Marsaglia, 2003): seeded, unlike Math.random, so that views look alike.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    [found[i], found[j]] = [found[j], found[i]];
  }
  return found;
}

export function gather(values: Float32Array, rows: Uint32Array): Float32Array {
  return filled(new Float32Array(rows.length), (place) => values[rows[place]]);
}
