import { describe, expect, test } from "vitest";
import { FIRST_VIEW, readView, writeView } from "../src/core/address";
import { findAmid } from "../src/core/amid";
import { drawn, rowsOfArea, rowsOfItems, simplifyRing, toggleItem } from "../src/core/selection";
import { isWithin, Space } from "../src/core/space";
import { pointsOf } from "./made";

/** The same numbers each time. */
function scatter(count: number): [Float32Array, Float32Array] {
  let state = 9;
  const next = () => {
    state = (state * 48271) % 2147483647;
    return (state / 2147483647) * 2 - 1;
  };
  const x = Float32Array.from({ length: count }, next);
  return [x, Float32Array.from({ length: count }, next)];
}

const STAR = [
  0, 0.9, 0.25, 0.2, 0.9, 0.1, 0.3, -0.2, 0.5, -0.9, 0, -0.4, -0.6, -0.8, -0.3, 0, -0.9, 0.3, -0.2,
  0.3,
];

describe("space", () => {
  test("within a ring are the same rows as one by one", () => {
    const [x, y] = scatter(20_000);
    x[5] = Number.NaN;
    const found = [...new Space(x, y).within(STAR)].sort((a, b) => a - b);
    const wanted = [...x.keys()].filter((row) => row !== 5 && isWithin(STAR, x[row], y[row]));
    expect(wanted.length).toBeGreaterThan(1000);
    expect(found).toEqual(wanted);
  });

  test("the nearest row is the nearest that passes", () => {
    const [x, y] = scatter(5000);
    const space = new Space(x, y);
    const far = (row: number) => Math.hypot(x[row] - 0.1, y[row] - 0.2);
    const order = [...x.keys()].sort((a, b) => far(a) - far(b));
    expect(space.nearest(0.1, 0.2, 0.2, () => true)).toBe(order[0]);
    expect(space.nearest(0.1, 0.2, 0.2, (row) => row !== order[0])).toBe(order[1]);
    expect(space.nearest(0.1, 0.2, far(order[0]) / 2, () => true)).toBe(-1);
  });
});

describe("selection", () => {
  const corner = [-1, -1, 0, -1, 0, 0, -1, 0];
  const middle = [-0.4, -0.4, 0.4, -0.4, 0.4, 0.4, -0.4, 0.4];
  const points = pointsOf([
    { task: 1, x: -0.8, y: -0.8 },
    { task: 2, x: -0.2, y: -0.2 },
    { task: 3, x: 0.2, y: 0.2 },
  ]);
  const space = new Space(points.x, points.y);
  const rows = (area: Parameters<typeof rowsOfArea>[0]) => [...(rowsOfArea(area, space) ?? [])];

  test("rings add and take away in their order", () => {
    const one = drawn([], "replace", corner);
    expect(rows(one)).toEqual([1, 1, 0]);
    expect(rows(drawn(one, "add", middle))).toEqual([1, 1, 1]);
    expect(rows(drawn(one, "subtract", middle))).toEqual([1, 0, 0]);
    expect(rows(drawn(one, "replace", middle))).toEqual([0, 1, 1]);
    expect(drawn([], "subtract", middle)).toEqual([]);
    expect(rowsOfArea([], space)).toBeNull();
  });

  test("long rings are drawn with fewer corners", () => {
    const ring = Array.from({ length: 4000 }, (_, i) => Math.sin(i));
    expect(simplifyRing(ring).length).toBeLessThanOrEqual(160);
  });

  test("a ring of a deep zoom keeps its corners, in an address too", () => {
    const ring = [0.123456, -0.654321, 0.123459, -0.654321, 0.123459, -0.654318];
    const area = drawn([], "replace", ring);
    expect(area[0].ring).toEqual(ring);
    expect(readView(writeView({ ...FIRST_VIEW, area })).area).toEqual(area);
  });

  test("items are picked and put back", () => {
    const picked = toggleItem(toggleItem([], [2, -1]), [3, -1]);
    expect([...rowsOfItems(picked, points)]).toEqual([1, 2]);
    expect(toggleItem(picked, [2, -1])).toEqual([[3, -1]]);
    expect(rowsOfItems([[99, -1]], points).size).toBe(0);
  });
});

describe("amid", () => {
  test("one label among many of another stands out, a mixed crowd does not", () => {
    const pure = Array.from({ length: 40 }, (_, i) => ({ task: i, x: -0.9, label: "cat" }));
    const mixed = Array.from({ length: 40 }, (_, i) => ({
      task: i,
      x: 0.9,
      label: i % 2 ? "cat" : "dog",
    }));
    const points = pointsOf([...pure, { task: 99, x: -0.9, label: "dog" }, ...mixed]);
    const found = findAmid(points.label, new Space(points.x, points.y));
    expect([...found.keys()].filter((row) => found[row])).toEqual([40]);
  });

  test("what has no label is of no class", () => {
    const blank = Array.from({ length: 200 }, (_, i) => ({ task: i, label: "" }));
    const cats = Array.from({ length: 15 }, (_, i) => ({ task: 300 + i, label: "cat" }));
    const find = (rows: { task: number; label: string }[]) => {
      const points = pointsOf(rows);
      return findAmid(points.label, new Space(points.x, points.y));
    };
    expect(find([...blank, ...cats]).includes(1)).toBe(false);
    expect(find([...blank, { task: 400, label: "dog" }]).includes(1)).toBe(false);
    // Among many that are not labelled, the labelled ones are compared with each other.
    const odd = find([...blank, ...cats, { task: 400, label: "dog" }]);
    expect([...odd.keys()].filter((row) => odd[row])).toEqual([215]);
  });
});
