/**
 * Filters answered for every row at once.
 *
 * Each dimension owns one bit of a row's mask, set where the row fails it: a row passes when its mask
 * is 0. The counts of a dimension are of the rows that no *other* dimension refuses, so that they say
 * what another choice there would bring.
 */

import { BINS, binsOf, type Spread, spread } from "./bins";
import { type DayIndex, indexDays } from "./days";
import {
  AMOUNT_FIELDS,
  type AmountField,
  indexWords,
  SEVERAL_FIELDS,
  WORD_FIELDS,
  type WordField,
  type WordIndex,
} from "./fields";
import type { Filters } from "./filters";
import type { Points, Words } from "./points";

/** Numbers of false positives and negatives are counted up to here. */
export const MOST_MISTAKES = 9;

const DIMENSIONS = [
  ...WORD_FIELDS,
  ...AMOUNT_FIELDS,
  "updated",
  "falsePositives",
  "falseNegatives",
  "search",
  "amid",
  "area",
  "similar",
  "cell",
] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export const bitOf = (dimension: Dimension): number => 1 << DIMENSIONS.indexOf(dimension);

export interface Counts {
  /** The rows that pass everything, in their own order. */
  passing: Uint32Array;
  words: Record<WordField, ReadonlyMap<string, number>>;
  /** Per field, rows in each of the even bins over [0, 1]. */
  amounts: Record<AmountField, Spread>;
  /** Rows of each day. */
  updated: Spread;
  /** At place n: rows with at least n. */
  falsePositives: Uint32Array;
  falseNegatives: Uint32Array;
  amid: number;
}

type Test = (row: number) => boolean;

export class Counting {
  /** Per row, one bit for each dimension that refuses it. */
  readonly mask: Uint32Array;
  private readonly bins: Record<AmountField, Uint8Array>;
  readonly days: DayIndex;
  private readonly several: Readonly<Partial<Record<WordField, WordIndex>>>;
  /** Per field, 1 for each code that any row has: a dictionary may hold words that none has. */
  private readonly used: Record<WordField, Uint8Array>;
  private filters: Filters | null = null;
  /** Dimensions that may refuse rows. */
  private readonly asking = new Set<Dimension>();

  constructor(
    readonly points: Points,
    private readonly amid: Uint8Array,
  ) {
    this.mask = new Uint32Array(points.length);
    this.several = Object.fromEntries(
      SEVERAL_FIELDS.map((field) => [field, indexWords(points[field])]),
    );
    this.days = indexDays(points.updated);
    const used = WORD_FIELDS.map((field) => [field, usedCodes(points[field])]);
    this.used = Object.fromEntries(used) as Record<WordField, Uint8Array>;
    const binned = AMOUNT_FIELDS.map((field) => [field, binsOf(points[field])]);
    this.bins = Object.fromEntries(binned) as Record<AmountField, Uint8Array>;
  }

  /** Let filters decide; only what differs from the last ones is looked at. */
  apply(filters: Filters): void {
    const { points } = this;
    const before = this.filters;
    for (const field of WORD_FIELDS) {
      if (same(before?.words[field], filters.words[field])) continue;
      this.set(field, this.wordTest(field, filters.words[field]));
    }
    for (const field of AMOUNT_FIELDS) {
      const range = filters.amounts[field];
      if (!same(before?.amounts[field], range)) this.set(field, rangeTest(points[field], range));
    }
    if (!same(before?.updated ?? undefined, filters.updated ?? undefined)) {
      this.set("updated", rangeTest(points.updated, filters.updated));
    }
    for (const field of ["falsePositives", "falseNegatives"] as const) {
      const least = filters[field];
      if (before?.[field] === least) continue;
      const column = points[field];
      this.set(field, least ? (row) => column[row] >= least : null);
    }
    if (before?.amid !== filters.amid) {
      this.set("amid", filters.amid ? (row) => this.amid[row] === 1 : null);
    }
    this.filters = filters;
  }

  /** Let only rows pass that pass a test; null lets all pass. */
  set(dimension: Dimension, test: Test | null): void {
    if (!test && !this.asking.has(dimension)) return;
    const { mask } = this;
    const bit = bitOf(dimension);
    const keep = ~bit;
    if (test) {
      this.asking.add(dimension);
      for (let row = 0; row < mask.length; row++) {
        mask[row] = test(row) ? mask[row] & keep : mask[row] | bit;
      }
    } else {
      this.asking.delete(dimension);
      for (let row = 0; row < mask.length; row++) mask[row] &= keep;
    }
  }

  count(): Counts {
    const { points, bins, days } = this;
    const all = this.passing(null);
    const rows = (dimension: Dimension) =>
      this.asking.has(dimension) ? this.passing(dimension) : all;
    const words = WORD_FIELDS.map((field) => {
      const counts = tally(points[field].codes, rows(field), points[field].words.length);
      return [field, this.byWord(field, counts)];
    });
    const amounts = AMOUNT_FIELDS.map((field) => {
      return [field, spread(tally(bins[field], rows(field), BINS + 1))];
    });
    const mistakes = (field: "falsePositives" | "falseNegatives") =>
      atLeast(tally(points[field], rows(field), 256));
    return {
      passing: all,
      words: Object.fromEntries(words) as Counts["words"],
      amounts: Object.fromEntries(amounts) as Counts["amounts"],
      updated: spread(tally(days.codes, rows("updated"), days.starts.length + 1)),
      falsePositives: mistakes("falsePositives"),
      falseNegatives: mistakes("falseNegatives"),
      amid: tally(this.amid, rows("amid"), 2)[1],
    };
  }

  /** The rows that pass everything, in another order. */
  rows(order: Uint32Array): Uint32Array {
    const { mask } = this;
    // They are looked up all over the column: a byte each stays in the cache.
    const refused = new Uint8Array(mask.length);
    for (let row = 0; row < mask.length; row++) refused[row] = mask[row] ? 1 : 0;
    const found = new Uint32Array(order.length);
    let n = 0;
    for (const row of order) {
      found[n] = row;
      n += 1 - refused[row];
    }
    return found.subarray(0, n);
  }

  /** The rows that nothing refuses, or nothing but one dimension; in their own order. */
  private passing(but: Dimension | null): Uint32Array {
    const { mask } = this;
    const others = but ? ~bitOf(but) : -1;
    const found = new Uint32Array(mask.length);
    let n = 0;
    for (let row = 0; row < mask.length; row++) {
      // Nothing is decided here, which no processor could foresee: what is refused is written over.
      found[n] = row;
      n += ((mask[row] & others) - 1) >>> 31;
    }
    return found.subarray(0, n);
  }

  private wordTest(field: WordField, words: readonly string[] | undefined): Test | null {
    if (!words) return null;
    const column = this.points[field];
    const wanted = new Set(words);
    const several = this.several[field];
    const has = (word: string, code: number) =>
      several
        ? several.lists[code].some((one) => wanted.has(several.words[one]))
        : wanted.has(word);
    const good = Uint8Array.from(column.words, (word, code) => Number(has(word, code)));
    const { codes } = column;
    return (row) => good[codes[row]] === 1;
  }

  private byWord(field: WordField, counts: Uint32Array): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    const several = this.several[field];
    const add = (word: string, n: number) => found.set(word, (found.get(word) ?? 0) + n);
    counts.forEach((n, code) => {
      if (!this.used[field][code]) return;
      if (!several) add(this.points[field].words[code], n);
      else for (const one of several.lists[code]) add(several.words[one], n);
    });
    return found;
  }
}

type Codes = Uint32Array | Uint16Array | Uint8Array;

/** How many of some rows have each code. */
function tally(codes: Codes, rows: Uint32Array, size: number): Uint32Array {
  const counts = new Uint32Array(size);
  for (const row of rows) counts[codes[row]]++;
  return counts;
}

/** Filters read from an address are new values each time, though they may ask the same. */
function same(
  a: readonly (string | number)[] | undefined,
  b: readonly (string | number)[] | undefined,
): boolean {
  return a?.length === b?.length && (a ?? []).every((value, i) => value === b?.[i]);
}

function usedCodes({ codes, words }: Words): Uint8Array {
  const used = new Uint8Array(words.length);
  for (const code of codes) used[code] = 1;
  return used;
}

function rangeTest(
  values: Float32Array | Float64Array,
  range: readonly [number, number] | null | undefined,
): Test | null {
  if (!range) return null;
  // What is stored is float32, and 0.7 there is a little less than the 0.7 that was asked for.
  const [low, high] = values instanceof Float32Array ? range.map(Math.fround) : range;
  return (row) => values[row] >= low && values[row] <= high;
}

function atLeast(exact: Uint32Array): Uint32Array {
  const found = new Uint32Array(MOST_MISTAKES + 1);
  let sum = 0;
  for (let n = exact.length - 1; n >= 0; n--) {
    sum += exact[n];
    if (n <= MOST_MISTAKES) found[n] = sum;
  }
  return found;
}
