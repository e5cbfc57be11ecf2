import { expect, test } from "vitest";
import type { Rgb } from "../src/core/palette";
import { layersOf } from "../src/scatter/layers";

test("the fewer points there are, the larger they are", () => {
  const INK: Rgb = [0, 0, 0];
  const sizes = [50, 500, 2000, 8000, 20_000, 100_000, 500_000].map((count) => {
    const rows = Uint32Array.from({ length: count }, (_, row) => row);
    const [layer] = layersOf({
      ...{ rows, mask: new Uint32Array(count), amid: new Uint8Array(count), showAmid: true },
      ...{ picked: new Set(), ghost: INK, frame: INK, accent: INK },
    });
    return layer.size;
  });
  expect(sizes).toEqual([9, 7, 5, 4, 3, 2, 1.5]);
});
