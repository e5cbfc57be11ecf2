/** Outlines of regions, in pixels of the image, as paths to draw and boxes to cut out. */

import type { Outline } from "../api/contract";

/** x0, y0, x1, y1 in pixels. */
export type Box = readonly [number, number, number, number];

/** A point is drawn as a ring of this part of the picture's side. */
const POINT_SHARE = 0.02;
const MARGIN = 0.35;
const LEAST_SIDE = 24;

export function isRings(outline: Outline): outline is [number, number][][] {
  return outline !== null && Array.isArray(outline[0]);
}

export function isPair(outline: Outline): outline is [number, number] {
  return outline !== null && typeof outline[0] === "number";
}

/** The path of an outline within a picture whose longer side is `side` pixels. */
export function pathOf(outline: Outline, side: number): string {
  if (isRings(outline)) {
    return outline.map((ring) => `M${ring.map(([x, y]) => `${x} ${y}`).join("L")}Z`).join("");
  }
  if (!isPair(outline)) return "";
  const [x, y] = outline;
  const r = side * POINT_SHARE;
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
}

export function boxOf(outline: Outline): Box | null {
  if (isPair(outline)) return [outline[0], outline[1], outline[0], outline[1]];
  if (!isRings(outline)) return null;
  const places = outline.flat();
  if (places.length === 0) return null;
  const [x, y] = [places.map((place) => place[0]), places.map((place) => place[1])];
  return [least(x), least(y), most(x), most(y)];
}

/** A square around a box with some of its surroundings, moved into the picture. */
export function cropAround(box: Box, width: number, height: number): Box {
  const wanted = Math.max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * MARGIN);
  const side = Math.min(Math.max(wanted, LEAST_SIDE), Math.max(width, height));
  const along = (middle: number, length: number): [number, number] => {
    const taken = Math.min(side, length);
    const start = Math.min(Math.max(middle - taken / 2, 0), length - taken);
    return [Math.floor(start), Math.ceil(start + taken)];
  };
  const [x0, x1] = along((box[0] + box[2]) / 2, width);
  const [y0, y1] = along((box[1] + box[3]) / 2, height);
  return [x0, y0, Math.min(x1, width), Math.min(y1, height)];
}

const least = (values: number[]) => values.reduce((a, b) => Math.min(a, b));
const most = (values: number[]) => values.reduce((a, b) => Math.max(a, b));
