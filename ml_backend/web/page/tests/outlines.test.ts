import { describe, expect, test } from "vitest";
import { boxOf, cropAround, pathOf } from "../src/core/outlines";

describe("outlines", () => {
  test("the box of rings holds all of them", () => {
    const ring: [number, number][][] = [
      [
        [10, 20],
        [30, 25],
      ],
      [
        [5, 60],
        [6, 61],
      ],
    ];
    expect(boxOf(ring)).toEqual([5, 20, 30, 61]);
    expect(boxOf([3, 4])).toEqual([3, 4, 3, 4]);
    expect(boxOf(null)).toBeNull();
  });

  test("a crop is square, around its box, and within the picture", () => {
    expect(cropAround([40, 40, 60, 60], 100, 100)).toEqual([33, 33, 67, 67]);
    const [x0, y0, x1, y1] = cropAround([90, 0, 100, 10], 100, 100);
    expect([x1, y0]).toEqual([100, 0]);
    expect(x1 - x0).toBe(y1 - y0);
    expect(cropAround([0, 0, 300, 20], 300, 40)).toEqual([0, 0, 300, 40]);
  });

  test("rings become closed paths, points become rings around them", () => {
    expect(
      pathOf(
        [
          [
            [0, 0],
            [1, 0],
            [1, 1],
          ],
        ],
        100,
      ),
    ).toBe("M0 0L1 0L1 1Z");
    expect(pathOf([50, 50], 100)).toContain("M48 50a2 2");
    expect(pathOf(null, 100)).toBe("");
  });
});
