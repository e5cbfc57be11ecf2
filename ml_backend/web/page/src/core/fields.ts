/** The fields of a point: what they are called, and in which column they are. */

import type { Words } from "./points";

export const WORD_FIELDS = ["label", "predicted", "kind", "flag", "annotator", "tags"] as const;
export const AMOUNT_FIELDS = ["confidence", "iou", "priority", "outlier"] as const;

/** Fields of which one row may have several words, joined by a line feed. */
export const SEVERAL_FIELDS: readonly WordField[] = ["annotator", "tags"];

export type WordField = (typeof WORD_FIELDS)[number];
export type AmountField = (typeof AMOUNT_FIELDS)[number];
export type Field = WordField | AmountField;

export const TITLES: Readonly<Record<Field, string>> = {
  label: "Human label",
  predicted: "Model label",
  kind: "Kind of finding",
  flag: "Review state",
  annotator: "Annotator",
  tags: "Tag",
  confidence: "Confidence",
  iou: "IoU with the model",
  priority: "Priority",
  outlier: "Outlier score",
};

const NAMES: Readonly<Record<string, string>> = {
  "needs-review": "Needs review",
  corrected: "Corrected",
  confirmed: "Confirmed",
  mislabelled: "Mislabelled",
  missing: "Missing",
  spurious: "Spurious",
  badly_drawn: "Badly drawn",
  duplicate: "Duplicate",
  outlier: "Outlier",
  disagreement: "Disagreement",
};

const NOTHING: Readonly<Record<WordField, string>> = {
  label: "No label",
  predicted: "Nothing predicted",
  kind: "No finding",
  flag: "Not flagged",
  annotator: "Nobody",
  tags: "No tag",
};

/** How a word is shown; labels, people and tags as they are, several of a row one by one. */
export function wordTitle(field: WordField, word: string): string {
  if (word === "") return NOTHING[field];
  if (field === "kind" || field === "flag") return NAMES[word] ?? word.replaceAll("_", " ");
  return wordsOf(field, word).join(", ");
}

/** What a legend's word is filtered by: all that a row has is one word there. */
export function wordsOf(field: WordField, word: string): string[] {
  return SEVERAL_FIELDS.includes(field) ? word.split("\n") : [word];
}

export function isWordField(field: Field): field is WordField {
  return (WORD_FIELDS as readonly string[]).includes(field);
}

/** Each word of a row counts, so they are read as lists of codes per distinct text. */
export interface WordIndex {
  words: readonly string[];
  /** Codes of the words in each distinct text of the column. */
  lists: readonly (readonly number[])[];
}

export function indexWords(column: Words): WordIndex {
  const words: string[] = [];
  const known = new Map<string, number>();
  const lists = column.words.map((text) =>
    text.split("\n").map((word) => {
      const code = known.get(word);
      if (code !== undefined) return code;
      known.set(word, words.length);
      return words.push(word) - 1;
    }),
  );
  return { words, lists };
}
