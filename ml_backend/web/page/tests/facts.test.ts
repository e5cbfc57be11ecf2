import { describe, expect, test } from "vitest";
import { factsOf, sentences } from "../src/core/facts";
import { pointsOf } from "./made";

const points = pointsOf([
  { task: 1, label: "3", predicted: "8", kind: "badly_drawn", confidence: 0.971, iou: 0.4 },
  { task: 2, label: "3" },
]);

describe("facts", () => {
  test("numbers are said by their names", () => {
    expect(sentences(factsOf(points, 0), "its left edge is off")).toBe(
      "Human 3. Model 8. Confidence 0.97. IoU 0.40. Finding Badly drawn. its left edge is off",
    );
  });

  test("what is not known is left out", () => {
    expect(factsOf(points, 1).map(({ field }) => field)).toEqual(["label", "predicted", "kind"]);
    expect(sentences(factsOf(points, 1), "")).toBe(
      "Human 3. Model Nothing predicted. Finding No finding.",
    );
  });
});
