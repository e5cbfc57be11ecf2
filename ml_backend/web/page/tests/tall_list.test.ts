import { describe, expect, test } from "vitest";
import { MOST_PX, type Place, placeOf, scrolled } from "../src/core/tall_list";

const VIEW = 700;
const LINE = 231;
const WHOLE = 333_334 * LINE;
const END = WHOLE - VIEW;
const LAST_SCROLL = MOST_PX - VIEW;

describe("a list higher than a browser can scroll", () => {
  test("one that is not is scrolled as ever", () => {
    expect(placeOf(1234, MOST_PX, VIEW)).toEqual({ scroll: 1234, top: 1234 });
    expect(scrolled({ scroll: 0, top: 0 }, 9e6, MOST_PX, VIEW)).toEqual({ scroll: 9e6, top: 9e6 });
  });

  test("the scroll bar leads from its beginning to its end", () => {
    const start = { scroll: 0, top: 0 };
    expect(scrolled(start, LAST_SCROLL, WHOLE, VIEW).top).toBe(END);
    expect(scrolled(start, LAST_SCROLL / 2, WHOLE, VIEW).top).toBeCloseTo(END / 2);
    expect(scrolled({ scroll: LAST_SCROLL, top: END }, 0, WHOLE, VIEW).top).toBe(0);
  });

  test("each line can be gone to, and is where it was asked for", () => {
    for (const line of [0, 1, 2, 166_667, 333_330]) {
      const place = placeOf(line * LINE, WHOLE, VIEW);
      expect(place.top).toBe(line * LINE);
      expect(place.scroll).toBeLessThanOrEqual(LAST_SCROLL);
      // What the browser then says of its own scrolling moves nothing.
      expect(scrolled(place, place.scroll, WHOLE, VIEW)).toEqual(place);
    }
    expect(placeOf(WHOLE, WHOLE, VIEW)).toEqual({ scroll: LAST_SCROLL, top: END });
  });

  test.each([1, -1])("a wheel passes no line over, up to the edge: %d", (way) => {
    let at: Place = placeOf(way > 0 ? END - 50_000 : 50_000, WHOLE, VIEW);
    const edge = way > 0 ? END : 0;
    for (let turn = 0; at.top !== edge && turn < 1000; turn++) {
      const { top } = at;
      // Five steps to a turn, then a rest; the browser goes no further than its edges.
      for (let step = 0; step < 5; step++) {
        const scroll = Math.min(Math.max(at.scroll + way * 100, 0), LAST_SCROLL);
        at = scrolled(at, scroll, WHOLE, VIEW);
      }
      expect(way * (at.top - top)).toBeGreaterThan(0);
      expect(way * (at.top - top)).toBeLessThanOrEqual(500);
      at = placeOf(at.top, WHOLE, VIEW);
    }
    expect(at.top).toBe(edge);
  });
});
