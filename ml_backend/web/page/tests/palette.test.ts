import { describe, expect, test } from "vitest";
import { colorBy, rankWords } from "../src/core/coloring";
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
