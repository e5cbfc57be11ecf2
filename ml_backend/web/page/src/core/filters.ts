/** What is asked of points, as a value that can be shared; see counting.ts for how it is answered. */

import { AMOUNT_FIELDS, type AmountField, WORD_FIELDS, type WordField } from "./fields";

/** Both ends included. */
export type Range = readonly [low: number, high: number];

export interface Filters {
  /** A row has one of the words; a field that is not named asks nothing. */
  words: Readonly<Partial<Record<WordField, readonly string[]>>>;
  amounts: Readonly<Partial<Record<AmountField, Range>>>;
  /** Seconds since 1970. */
  updated: Range | null;
  /** At least so many per task; 0 asks nothing. */
  falsePositives: number;
  falseNegatives: number;
  search: string;
  /** Only points of one class amid another's cluster. */
  amid: boolean;
}

export const NO_FILTERS: Filters = {
  words: {},
  amounts: {},
  updated: null,
  falsePositives: 0,
  falseNegatives: 0,
  search: "",
  amid: false,
};

export function withWords(
  filters: Filters,
  field: WordField,
  words: readonly string[] | null,
): Filters {
  const { [field]: _, ...rest } = filters.words;
  return { ...filters, words: words?.length ? { ...rest, [field]: words } : rest };
}

/** Take a word in, or out when it is in. */
export function toggleWord(filters: Filters, field: WordField, word: string): Filters {
  const now = filters.words[field] ?? [];
  const next = now.includes(word) ? now.filter((other) => other !== word) : [...now, word];
  return withWords(filters, field, next);
}

/** Ask for these words alone, or for all again; `more`: take them in besides, or out. */
export function chooseWords(
  filters: Filters,
  field: WordField,
  words: readonly string[],
  more: boolean,
): Filters {
  const now = filters.words[field] ?? [];
  const others = now.filter((word) => !words.includes(word));
  const areIn = now.length - others.length === words.length;
  if (more) return withWords(filters, field, areIn ? others : [...others, ...words]);
  return withWords(filters, field, areIn && others.length === 0 ? null : words);
}

export function withAmount(filters: Filters, field: AmountField, range: Range | null): Filters {
  const { [field]: _, ...rest } = filters.amounts;
  const asks = range !== null && (range[0] > 0 || range[1] < 1);
  return { ...filters, amounts: asks ? { ...rest, [field]: range } : rest };
}

/** How many fields ask something. */
export function countFilters(filters: Filters): number {
  return (
    WORD_FIELDS.filter((field) => filters.words[field]).length +
    AMOUNT_FIELDS.filter((field) => filters.amounts[field]).length +
    Number(filters.updated !== null) +
    Number(filters.falsePositives > 0) +
    Number(filters.falseNegatives > 0) +
    Number(filters.search !== "") +
    Number(filters.amid)
  );
}
