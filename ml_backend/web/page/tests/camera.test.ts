import { describe, expect, test } from "vitest";
import { panned, toPixels, toPlane, wholePlane, zoomed } from "../src/scatter/camera";

describe("camera", () => {
  const camera = { x: 0.2, y: -0.1, scale: 300 };

  test("a place survives the way to pixels and back", () => {
    const [left, top] = toPixels(camera, 800, 600, 0.4, 0.3);
    const [x, y] = toPlane(camera, 800, 600, left, top);
    expect(x).toBeCloseTo(0.4);
    expect(y).toBeCloseTo(0.3);
  });

  test("zooming keeps the place below the pointer", () => {
    const before = toPlane(camera, 800, 600, 120, 450);
    const after = toPlane(zoomed(camera, 800, 600, 120, 450, 2), 800, 600, 120, 450);
    expect(after[0]).toBeCloseTo(before[0]);
    expect(after[1]).toBeCloseTo(before[1]);
  });

  test("panning moves by pixels", () => {
    const [left, top] = toPixels(camera, 800, 600, 0, 0);
    expect(toPixels(panned(camera, 30, -20), 800, 600, 0, 0)).toEqual([left + 30, top - 20]);
  });

  test("the whole plane fits", () => {
    const [left, top] = toPixels(wholePlane(800, 600), 800, 600, 1, 1);
    expect(left).toBeLessThan(800);
    expect(top).toBeGreaterThan(0);
  });
});
