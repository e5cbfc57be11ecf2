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
  if (count > 5_000) return 4;
  if (count > 1_000) return 5;
  return count > 200 ? 7 : 9;
}

const [GHOST, DIM, PLAIN, ODD, PICKED] = [0, 1, 2, 3, 4];

/** Which layer each row belongs to. */
function layerOfRows({ mask, amid, showAmid, picked }: LayerInput): Uint8Array {
  const layer = new Uint8Array(mask.length).fill(PLAIN);
  for (let row = 0; row < mask.length; row++) {
    const refused = mask[row];
    if (refused) layer[row] = refused & ~AREA ? GHOST : DIM;
    else if (showAmid && amid[row]) layer[row] = ODD;
  }
  for (const row of picked) layer[row] = PICKED;
  return layer;
}

/** The places of each layer, ascending. */
function placesByLayer(rows: Uint32Array, layerOf: Uint8Array): Uint32Array[] {
  const layers = new Uint8Array(rows.length);
  const counts = new Uint32Array(PICKED + 1);
  for (let place = 0; place < rows.length; place++) {
    layers[place] = layerOf[rows[place]];
    counts[layers[place]]++;
  }
  const places = Array.from(counts, (count) => new Uint32Array(count));
  counts.fill(0);
  for (let place = 0; place < layers.length; place++) {
    const layer = layers[place];
    places[layer][counts[layer]++] = place;
  }
  return places;
}

export function layersOf(input: LayerInput): Layer[] {
  const { rows, ghost, frame, accent } = input;
  const places = placesByLayer(rows, layerOfRows(input));
  const [odd, chosen] = [places[ODD], places[PICKED]];
  const size = sizeFor(places[DIM].length + places[PLAIN].length + odd.length);
  return [
    { places: places[GHOST], size: Math.min(size, 2), alpha: 0.16, tint: ghost },
    { places: places[DIM], size, alpha: 0.22, tint: null },
    { places: places[PLAIN], size, alpha: rows.length > 60_000 ? 0.75 : 0.85, tint: null },
    { places: odd, size: size + 4, alpha: 1, tint: frame },
    { places: odd, size: size + 2, alpha: 1, tint: null },
    { places: chosen, size: size + 7, alpha: 1, tint: accent },
    { places: chosen, size: size + 2, alpha: 1, tint: null },
  ].filter((layer) => layer.places.length > 0);
}
