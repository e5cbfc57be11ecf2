/** A list that may be higher than a browser can scroll: pixels of the list, and of its scroll bar. */

/** Firefox stops at 17.9 million pixels, Chrome at 33.5. */
export const MOST_PX = 15_000_000;
/** So far from either end, a pixel of the scroll bar is one of the list. */
const EDGE_PX = 1_000_000;

export interface Place {
  /** How far the browser has scrolled, pixels. */
  scroll: number;
  /** The pixel of the list at the upper edge of what is seen. */
  top: number;
}

/** Where to scroll to for a pixel of the list. */
export function placeOf(top: number, whole: number, view: number): Place {
  if (whole <= MOST_PX) return { scroll: top, top };
  const end = whole - view;
  const there = Math.min(Math.max(top, 0), end);
  return { scroll: Math.round(stretched(there, end, MOST_PX - view)), top: there };
}

/**
 * Where one is once the browser has scrolled: a wheel or a finger moves the list by as much, the
 * scroll bar in proportion. `placeOf` brings both together again when all is at rest.
 */
export function scrolled(before: Place, scroll: number, whole: number, view: number): Place {
  if (whole <= MOST_PX) return { scroll, top: scroll };
  const end = whole - view;
  const by = scroll - before.scroll;
  const top = Math.abs(by) <= view ? before.top + by : stretched(scroll, MOST_PX - view, end);
  return { scroll, top: Math.min(Math.max(top, 0), end) };
}

/** A place on one length as a place on another: as far from a near end, else in proportion. */
function stretched(at: number, length: number, other: number): number {
  if (at <= EDGE_PX) return at;
  if (at >= length - EDGE_PX) return at - length + other;
  return EDGE_PX + ((at - EDGE_PX) / (length - 2 * EDGE_PX)) * (other - 2 * EDGE_PX);
}
