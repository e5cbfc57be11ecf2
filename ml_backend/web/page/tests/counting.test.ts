import { describe, expect, test } from "vitest";
import { countAtLeast } from "../src/core/bins";
import { Counting } from "../src/core/counting";
import { fromDay } from "../src/core/days";
import { NO_FILTERS, toggleWord, withAmount, withWords } from "../src/core/filters";
import { sortRows } from "../src/core/sorting";
import { pointsOf } from "./made";

const POINTS = pointsOf([
  { task: 1, label: "cat", predicted: "cat", confidence: 0.9, priority: 0.1, falsePositives: 2 },
  { task: 2, label: "cat", predicted: "dog", confidence: 0.8, priority: 0.9, tags: "a\nb" },
  { task: 3, label: "dog", predicted: "dog", confidence: 0.7, priority: 0.5, falsePositives: 1 },
  { task: 4, label: "dog", predicted: "cat", priority: 0.7, tags: "b" },
]);

function counting() {
  return new Counting(POINTS, Uint8Array.of(0, 1, 0, 1));
}

const tasks = (rows: Uint32Array) => Array.from(rows, (row) => POINTS.task[row]);

describe("counting", () => {
  test("a field's counts leave out what it asks itself", () => {
    const all = counting();
    all.apply(withWords(NO_FILTERS, "label", ["cat"]));
    const counts = all.count();
    expect(tasks(counts.passing)).toEqual([1, 2]);
    expect(counts.words.label.get("dog")).toBe(2);
    expect(counts.words.predicted.get("dog")).toBe(1);
    expect(counts.amid).toBe(1);
  });

  test("words that no row has are not offered", () => {
    const points = { ...POINTS, kind: { codes: POINTS.kind.codes, words: ["", "outlier"] } };
    const all = new Counting(points, new Uint8Array(4));
    all.apply(NO_FILTERS);
    expect([...all.count().words.kind.keys()]).toEqual([""]);
  });

  test("filters are combined, and let go of again", () => {
    const all = counting();
    const cats = withWords(NO_FILTERS, "label", ["cat"]);
    all.apply({ ...cats, falsePositives: 1 });
    expect(tasks(all.count().passing)).toEqual([1]);
    all.apply(toggleWord(cats, "label", "dog"));
    expect(tasks(all.count().passing)).toEqual([1, 2, 3, 4]);
    all.apply(withAmount(NO_FILTERS, "confidence", [0.75, 1]));
    expect(tasks(all.count().passing)).toEqual([1, 2]);
    all.apply(NO_FILTERS);
    expect(tasks(all.count().passing)).toEqual([1, 2, 3, 4]);
  });

  test("the ends of a range belong to it, as float32 has them", () => {
    const all = counting();
    all.apply(withAmount(NO_FILTERS, "confidence", [0.7, 0.8]));
    expect(tasks(all.count().passing)).toEqual([2, 3]);
  });

  test("what is unknown passes no range", () => {
    const all = counting();
    all.apply(withAmount(NO_FILTERS, "confidence", [0.01, 1]));
    expect(tasks(all.count().passing)).not.toContain(4);
    const { counts, unknown } = all.count().amounts.confidence;
    expect([counts.reduce((sum, n) => sum + n), unknown]).toEqual([3, 1]);
  });

  test.each([0.5, 0.75, 0.9])("what a limit would bring is what it brings (%d)", (least) => {
    const next = Math.fround(least);
    const step = 2 ** -24;
    const near = [next - step, next, next + 2 * step, 1, 0].map((confidence, task) => {
      return { task, confidence };
    });
    const all = new Counting(pointsOf(near), new Uint8Array(near.length));
    all.apply(NO_FILTERS);
    const promised = countAtLeast(all.count().amounts.confidence.counts, least);
    all.apply(withAmount(NO_FILTERS, "confidence", [least, 1]));
    expect(all.count().passing.length).toBe(promised);
    expect(promised).toBe(3);
  });

  test("days are counted, those that are asked for among the others", () => {
    const noon = (day: number) => new Date(2026, 4, day, 12).getTime() / 1000;
    const days = [1, 3, 3].map((day, task) => ({ task, updated: noon(day) }));
    const all = new Counting(pointsOf([...days, { task: 9 }]), new Uint8Array(4));
    all.apply({ ...NO_FILTERS, updated: fromDay(null, "2026-05-03") });
    const { passing, updated } = all.count();
    expect(passing.length).toBe(2);
    expect([[...updated.counts], updated.unknown]).toEqual([[1, 0, 2], 1]);
  });

  test("each tag of a task counts", () => {
    const all = counting();
    all.apply(NO_FILTERS);
    const { tags } = all.count().words;
    expect([tags.get("a"), tags.get("b"), tags.get("")]).toEqual([1, 2, 2]);
    all.apply(withWords(NO_FILTERS, "tags", ["b"]));
    expect(tasks(all.count().passing)).toEqual([2, 4]);
  });

  test("each annotator of a task counts, whoever came last", () => {
    const rows = ["ann", "ann\nbea", "bea", ""].map((annotator, i) => ({ task: i + 1, annotator }));
    const all = new Counting(pointsOf(rows), new Uint8Array(rows.length));
    all.apply(NO_FILTERS);
    expect([...all.count().words.annotator]).toEqual([
      ["ann", 2],
      ["bea", 2],
      ["", 1],
    ]);
    all.apply(withWords(NO_FILTERS, "annotator", ["ann"]));
    expect([...all.count().passing]).toEqual([0, 1]);
  });

  test("mistakes are counted from a number on", () => {
    const { falsePositives } = counting().count();
    expect([...falsePositives.subarray(0, 4)]).toEqual([4, 2, 1, 0]);
  });

  test("rows come in the order of a score, unknown ones last", () => {
    const all = counting();
    const down = sortRows(POINTS, { key: "confidence", descending: true });
    expect(tasks(all.rows(down))).toEqual([1, 2, 3, 4]);
    const up = sortRows(POINTS, { key: "confidence", descending: false });
    expect(tasks(all.rows(up))).toEqual([3, 2, 1, 4]);
    const urgent = sortRows(POINTS, { key: "priority", descending: true });
    expect(tasks(all.rows(urgent))).toEqual([2, 4, 3, 1]);
  });
});
