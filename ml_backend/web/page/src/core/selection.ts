/**
 * What a person chose, in a form that an address can say: an area drawn in the plane, as the rings
 * that made it, which narrows what is shown; and single items picked from what is shown.
 */

import type { Points } from "./points";
import type { Ring, Space } from "./space";

export interface Step {
  how: "add" | "subtract";
  ring: Ring;
}

/** What drawing another ring does with the area before. */
export type How = "replace" | Step["how"];

export type Area = readonly Step[];

/** A whole input has region -1. */
export type Item = readonly [task: number, region: number];

const MOST_REGIONS = 2 ** 20;

/** An item as one number: sets of numbers are built and looked up fastest. */
export const keyOf = (task: number, region: number): number => task * MOST_REGIONS + region + 1;

/** The rows within an area as 1, or null where none was drawn. */
export function rowsOfArea(area: Area, space: Space): Uint8Array | null {
  if (area.length === 0) return null;
  const within = new Uint8Array(space.x.length);
  for (const { how, ring } of area) {
    const value = how === "add" ? 1 : 0;
    for (const row of space.within(ring)) within[row] = value;
  }
  return within;
}

/** The rows of items; items that are no longer there are left out. */
export function rowsOfItems(items: readonly Item[], points: Points): Set<number> {
  const rows = new Set<number>();
  if (items.length === 0) return rows;
  const wanted = new Map<number, Set<number>>();
  for (const [task, region] of items) {
    wanted.set(task, (wanted.get(task) ?? new Set()).add(region));
  }
  for (let row = 0; row < points.length; row++) {
    if (wanted.get(points.task[row])?.has(points.region[row])) rows.add(row);
  }
  return rows;
}

/** Pick an item, or put it back when it is picked. */
export function toggleItem(items: readonly Item[], [task, region]: Item): readonly Item[] {
  const rest = items.filter((item) => item[0] !== task || item[1] !== region);
  return rest.length < items.length ? rest : [...items, [task, region]];
}

/** Go on drawing an area: over the old one, to it or from it. */
export function drawn(area: Area, how: How, ring: Ring): Area {
  const simple = simplifyRing(ring);
  if (how === "replace") return [{ how: "add", ring: simple }];
  // Of nothing, nothing can be taken.
  if (how === "subtract" && area.length === 0) return area;
  return [...area, { how, ring: simple }];
}

const MOST_CORNERS = 80;
/** Steps per unit of the plane: a ring drawn at the deepest zoom keeps its form. */
export const PRECISION = 1e6;

/** Draw a ring with fewer corners, so that it fits into an address. */
export function simplifyRing(ring: Ring): Ring {
  const corners = ring.length / 2;
  const every = Math.max(1, Math.ceil(corners / MOST_CORNERS));
  const kept: number[] = [];
  for (let i = 0; i < corners; i += every) {
    kept.push(round(ring[2 * i]), round(ring[2 * i + 1]));
  }
  return kept;
}

function round(value: number): number {
  return Math.round(value * PRECISION) / PRECISION;
}
