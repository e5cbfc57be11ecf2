import { describe, expect, test } from "vitest";
import { mostConfused } from "../src/core/confusion";

function matrix(side: number): number[][] {
  return Array.from({ length: side }, () => Array<number>(side).fill(0));
}

describe("confusion", () => {
  test("all classes are drawn where there is room, and nothing last", () => {
    const counts = [
      [5, 2, 0],
      [1, 9, 3],
      [0, 0, 0],
    ];
    expect(mostConfused(counts, 2)).toEqual({ places: [0, 1, 2], most: 3 });
    expect(mostConfused([], 2)).toEqual({ places: [], most: 1 });
  });

  test("of too many those that are mixed up most stay, in their order", () => {
    const counts = matrix(6);
    counts[3][3] = 900;
    counts[4][1] = 8;
    counts[2][5] = 3;
    // What the model has missed is a mistake like any other.
    expect(mostConfused(counts, 2)).toEqual({ places: [1, 4, 5], most: 8 });
    expect(mostConfused(counts, 3).places).toEqual([1, 2, 4, 5]);
  });

  test("a thousand classes are no more than a browser can spread", () => {
    const counts = matrix(1001);
    counts[998][999] = 4;
    const { places, most } = mostConfused(counts, 60);
    expect(places).toHaveLength(61);
    expect(places.slice(-3)).toEqual([998, 999, 1000]);
    expect(most).toBe(4);
  });
});
