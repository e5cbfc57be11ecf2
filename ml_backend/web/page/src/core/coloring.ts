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

/** Colours are by how frequent a class is among all rows, so that no filter changes them. */
export function colorBy(points: Points, field: Field, onDark: boolean): Coloring {
  return isWordField(field) ? colorByWord(points, field, onDark) : colorByAmount(points, field);
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

function colorByWord(points: Points, field: WordField, onDark: boolean): Coloring {
  const ranked = rankWords(points, field);
  const place = new Map(ranked.map((word, rank) => [word, rank < MOST_CLASSES ? rank + 1 : 0]));
  const { codes, words } = points[field];
  const ofCode = Uint8Array.from(words, (word) => place.get(word) ?? 0);
  const colors = ranked.map((_, rank) => classColor(rank, onDark));
  const palette = [UNKNOWN, ...colors.slice(0, MOST_CLASSES)];
  const legend = ranked.map((word, rank) => ({ word, color: colors[rank] }));
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
