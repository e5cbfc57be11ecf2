/** What is known of one point, in a person's words: on the map's card, beside it, and aloud. */

import { type Field, isWordField, wordTitle } from "./fields";
import { score } from "./format";
import type { Points } from "./points";

export interface Fact {
  field: Field;
  title: string;
  said: string;
}

const FACTS: readonly (readonly [field: Field, title: string])[] = [
  ["label", "Human"],
  ["predicted", "Model"],
  ["confidence", "Confidence"],
  ["iou", "IoU"],
  ["priority", "Priority"],
  ["kind", "Finding"],
];

/** What is not known is left out. */
export function factsOf(points: Points, row: number): Fact[] {
  return FACTS.flatMap(([field, title]) => {
    if (isWordField(field)) {
      const { words, codes } = points[field];
      return { field, title, said: wordTitle(field, words[codes[row]]) };
    }
    const value = points[field][row];
    return Number.isNaN(value) ? [] : { field, title, said: score(value) };
  });
}

/** As sentences. */
export function sentences(facts: readonly Fact[], reason: string): string {
  const all = facts.map(({ title, said }) => `${title} ${said}.`);
  return [...all, ...(reason ? [reason] : [])].join(" ");
}
