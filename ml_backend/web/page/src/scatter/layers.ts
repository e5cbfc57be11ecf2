/** Which points lie over which: those that a filter refuses below all, those that stand out on top. */

import { bitOf } from "../core/counting";
import type { Rgb } from "../core/palette";
import type { Layer } from "./scene";

export interface LayerInput {
  /** Rows in the order in which they are drawn. */
  rows: Uint32Array;
  /** Per row, the bits of what refuses it. */
  mask: Uint32Array;
  /** 1 where a row stands amid another class's points. */
  amid: Uint8Array;
  /** Whether those stand out. */
  showAmid: boolean;
  picked: ReadonlySet<number>;
  ghost: Rgb;
  frame: Rgb;
  accent: Rgb;
}

const AREA = bitOf("area");

/** Few points can be large, many must be small to be told apart. */
function sizeFor(count: number): number {
  if (count > 400_000) return 1.5;
  if (count > 60_000) return 2;
  if (count > 12_000) return 3;
  return count > 5_000 ? 4 : 5;
}

export function layersOf({
  rows,
  mask,
  amid,
  showAmid,
  picked,
  ghost,
  frame,
  accent,
}: LayerInput): Layer[] {
  const places = Array.from({ length: 5 }, () => new Uint32Array(rows.length));
  const filled = [0, 0, 0, 0, 0];
  const some = picked.size > 0;
  const [GHOST, DIM, PLAIN, ODD, PICKED] = [0, 1, 2, 3, 4];
  for (let place = 0; place < rows.length; place++) {
    const row = rows[place];
    const refused = mask[row];
    let layer = PLAIN;
    if (some && picked.has(row)) layer = PICKED;
    else if (refused & ~AREA) layer = GHOST;
    else if (refused) layer = DIM;
    else if (showAmid && amid[row]) layer = ODD;
    places[layer][filled[layer]++] = place;
  }
  const of = (layer: number) => places[layer].slice(0, filled[layer]);
  const size = sizeFor(filled[DIM] + filled[PLAIN] + filled[ODD]);
  const [odd, chosen] = [of(ODD), of(PICKED)];
  return [
    { places: of(GHOST), size: Math.min(size, 2), alpha: 0.16, tint: ghost },
    { places: of(DIM), size, alpha: 0.22, tint: null },
    { places: of(PLAIN), size, alpha: rows.length > 60_000 ? 0.75 : 0.85, tint: null },
    { places: odd, size: size + 4, alpha: 1, tint: frame },
    { places: odd, size: size + 2, alpha: 1, tint: null },
    { places: chosen, size: size + 7, alpha: 1, tint: accent },
    { places: chosen, size: size + 2, alpha: 1, tint: null },
  ].filter((layer) => layer.places.length > 0);
}
