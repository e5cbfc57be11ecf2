import { tableFromArrays, tableToIPC } from "@uwdata/flechette";
import { describe, expect, test } from "vitest";
import { readPoints, shownOf, tasksOf } from "../src/core/points";
import { pointsOf, streamOf } from "./made";

describe("points", () => {
  test("columns come as they were sent", () => {
    const points = pointsOf([
      { task: 7, region: 2, x: -0.5, y: 0.25, label: "cat", confidence: 0.75, updated: 1e9 },
      { task: 9, label: "dog", predicted: "cat" },
    ]);
    expect(points.length).toBe(2);
    expect([...points.task]).toEqual([7, 9]);
    expect([...points.region]).toEqual([2, -1]);
    expect(points.x[0]).toBe(-0.5);
    expect(points.confidence[0]).toBe(0.75);
    expect(points.confidence[1]).toBeNaN();
    expect(points.updated[0]).toBe(1e9);
    const labels = [...points.label.codes].map((code) => points.label.words[code]);
    expect(labels).toEqual(["cat", "dog"]);
  });

  test("they name the plane that they lie in", () => {
    expect(readPoints(streamOf([{ task: 1 }], "5f0c")).plane).toBe("5f0c");
    expect(pointsOf([{ task: 1 }]).plane).toBe("");
  });

  test("a column that is missing is named", () => {
    const table = tableFromArrays({ task: Int32Array.of(1) });
    const bytes = tableToIPC(table, { format: "stream" }) as Uint8Array;
    expect(() => readPoints(bytes.slice().buffer as ArrayBuffer)).toThrow('"region"');
  });

  test("tasks of regions are named once", () => {
    const points = pointsOf([
      { task: 1, region: 0 },
      { task: 3, region: 0 },
      { task: 3, region: 1 },
    ]);
    expect([...tasksOf(points, Uint32Array.of(0, 1, 2))]).toEqual([1, 3]);
    expect(tasksOf(points, Uint32Array.of())).toHaveLength(0);
  });

  test("tasks of regions are told as they were seen", () => {
    const points = pointsOf([
      { task: 1, region: 0, updated: 5 },
      { task: 3, region: 0, updated: 1e9 },
      { task: 3, region: 1, updated: 1e9 },
      { task: 4, region: 0 },
    ]);
    expect(shownOf(points, Uint32Array.of(1, 2, 3))).toEqual([
      [3, 1e9, 2],
      [4, 0, 1],
    ]);
    expect(shownOf(points, Uint32Array.of(0))).toEqual([[1, 5, 1]]);
  });
});
