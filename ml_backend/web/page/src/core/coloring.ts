/** Which colour each point has, and the legend that says so. */

import { type Field, isWordField, type WordField } from "./fields";
import { amountColor, classColor, MOST_CLASSES, type Rgb, STEPS, UNKNOWN } from "./palette";
import { filled, type Points } from "./points";

export interface Coloring {
  field: Field;
  /** Per row, an index into the palette. */
  codes: Uint8Array;
  palette: readonly Rgb[];
  /** Words of the legend with their colours, the most frequent first; none for amounts. */
  legend: readonly { word: string; color: Rgb }[];
}

const NONE_WANTED: ReadonlySet<string> = new Set();

/**
 * Colours are by how frequent a class is among all rows, so that no filter changes them. Of more
 * classes than there are colours, those that are wanted have one, as far as they go.
 */
export function colorBy(
  points: Points,
  field: Field,
  onDark: boolean,
  wanted: ReadonlySet<string> = NONE_WANTED,
): Coloring {
  if (!isWordField(field)) return colorByAmount(points, field);
  return colorByWord(points, field, onDark, wanted);
}

/** Which colour each word has; the rarest that nobody wants give theirs to those that are wanted. */
export function placesOf(
  ranked: readonly string[],
  wanted: ReadonlySet<string>,
): ReadonlyMap<string, number> {
  const places = new Map(ranked.slice(0, MOST_CLASSES).map((word, rank) => [word, rank]));
  // All that a row has are one word.
  const isWanted = (word: string) => word.split("\n").some((one) => wanted.has(one));
  const spare = [...places.keys()].filter((word) => !isWanted(word));
  for (const word of ranked.slice(MOST_CLASSES).filter(isWanted)) {
    const giver = spare.pop();
    if (giver === undefined) break;
    places.set(word, places.get(giver) as number);
    places.delete(giver);
  }
  return places;
}

/** People's labels go first, so that a class has one colour whoever gave it. */
export function rankWords(points: Points, field: WordField): string[] {
  const fields: readonly WordField[] = field === "predicted" ? ["label", "predicted"] : [field];
  const ranked = new Set<string>();
  for (const one of fields) {
    const { codes, words } = points[one];
    const counts = new Uint32Array(words.length);
    for (const code of codes) counts[code]++;
    const order = words
      .map((word, code) => ({ word, count: counts[code] }))
      .filter(({ word, count }) => word !== "" && count > 0)
      .sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1));
    for (const { word } of order) ranked.add(word);
  }
  return [...ranked];
}

function colorByWord(
  points: Points,
  field: WordField,
  onDark: boolean,
  wanted: ReadonlySet<string>,
): Coloring {
  const ranked = rankWords(points, field);
  const places = placesOf(ranked, wanted);
  // The first colour is that of those that have none.
  const placeOf = (word: string) => (places.get(word) ?? -1) + 1;
  const { codes, words } = points[field];
  const ofCode = Uint8Array.from(words, placeOf);
  const some = Math.min(ranked.length, MOST_CLASSES);
  const palette = [UNKNOWN, ...Array.from({ length: some }, (_, rank) => classColor(rank, onDark))];
  const legend = ranked.map((word) => ({ word, color: palette[placeOf(word)] }));
  const none = words.indexOf("");
  if (none >= 0 && codes.includes(none)) legend.push({ word: "", color: UNKNOWN });
  return {
    field,
    codes: filled(new Uint8Array(points.length), (row) => ofCode[codes[row]]),
    palette,
    legend,
  };
}

function colorByAmount(points: Points, field: Exclude<Field, WordField>): Coloring {
  const values = points[field];
  const codes = filled(new Uint8Array(points.length), (row) =>
    Number.isNaN(values[row]) ? 0 : 1 + Math.min(Math.floor(values[row] * STEPS), STEPS - 1),
  );
  const steps = Array.from({ length: STEPS }, (_, step) => amountColor((step + 0.5) / STEPS));
  return { field, codes, palette: [UNKNOWN, ...steps], legend: [] };
}
