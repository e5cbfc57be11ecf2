import { describe, expect, test } from "vitest";
import { colorBy, placesOf, rankWords } from "../src/core/coloring";
import { amountColor, classColor, MOST_CLASSES, UNKNOWN } from "../src/core/palette";
import { pointsOf } from "./made";

const POINTS = pointsOf([
  { task: 1, label: "rare", predicted: "often", confidence: 0 },
  { task: 2, label: "often", predicted: "often", confidence: 1 },
  { task: 3, label: "often", predicted: "other" },
  { task: 4, label: "", predicted: "rare" },
]);

describe("palette", () => {
  test.each([true, false])("classes have colours of their own (dark: %s)", (dark) => {
    const all = Array.from({ length: MOST_CLASSES }, (_, rank) => classColor(rank, dark).join());
    expect(new Set(all).size).toBe(MOST_CLASSES);
    expect(classColor(MOST_CLASSES, dark)).toBe(UNKNOWN);
  });

  test("amounts grow lighter, and keep to their ends", () => {
    const light = (value: number) => {
      const [red, green, blue] = amountColor(value);
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const steps = Array.from({ length: 50 }, (_, i) => light(i / 49));
    expect(steps.every((value, i) => i === 0 || value > steps[i - 1])).toBe(true);
    expect(amountColor(-1)).toEqual(amountColor(0));
    expect(amountColor(2)).toEqual(amountColor(1));
    expect(amountColor(Number.NaN)).toBe(UNKNOWN);
  });
});

describe("colouring", () => {
  test("a class has one colour whoever gave it", () => {
    expect(rankWords(POINTS, "label")).toEqual(["often", "rare"]);
    expect(rankWords(POINTS, "predicted")).toEqual(["often", "rare", "other"]);
    const [label, predicted] = [
      colorBy(POINTS, "label", false),
      colorBy(POINTS, "predicted", false),
    ];
    expect(label.palette[label.codes[1]]).toEqual(predicted.palette[predicted.codes[0]]);
  });

  test("of too many classes those that are wanted have colours", () => {
    const names = Array.from({ length: MOST_CLASSES + 9 }, (_, rank) => `class ${rank}`);
    const rows = names.flatMap((label, rank) => Array(names.length - rank).fill({ label }));
    const points = pointsOf(rows.map((row, i) => ({ task: i + 1, ...row })));
    const rare = names.slice(-3);
    const grey = (wanted: Set<string>) => {
      const { legend } = colorBy(points, "label", false, wanted);
      return legend.filter(({ color }) => color === UNKNOWN).map(({ word }) => word);
    };
    expect(grey(new Set())).toEqual(names.slice(MOST_CLASSES));
    expect(grey(new Set([...rare, names[0]]))).toEqual(names.slice(MOST_CLASSES - 3, -3));
    const { legend, codes, palette } = colorBy(points, "label", false, new Set(rare));
    const colors = rare.map((word) => legend.find((one) => one.word === word)?.color.join());
    expect(new Set(colors).size).toBe(rare.length);
    expect(palette[codes[rows.length - 1]].join()).toBe(colors[2]);
    // Who is frequent keeps the colour, however many are wanted.
    const all = placesOf(names, new Set(names));
    expect(names.slice(0, MOST_CLASSES).map((word) => all.get(word))).toEqual([
      ...Array(MOST_CLASSES).keys(),
    ]);
  });

  test("no label is grey, and named in the legend", () => {
    const { codes, palette, legend } = colorBy(POINTS, "label", false);
    expect(palette[codes[3]]).toBe(UNKNOWN);
    expect(legend.at(-1)?.word).toBe("");
  });

  test("unknown amounts are grey, the others differ", () => {
    const { codes, palette } = colorBy(POINTS, "confidence", false);
    expect(palette[codes[2]]).toBe(UNKNOWN);
    expect(palette[codes[0]]).not.toEqual(palette[codes[1]]);
  });
});
