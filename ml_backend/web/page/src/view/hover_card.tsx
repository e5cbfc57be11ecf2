/** What the point under the mouse is. The details say the same of the one that is chosen. */

import type { Points } from "../core/points";
import { hovered } from "../state/focus";
import { PointFacts, PointName, PointPicture, reasonOf } from "./point";

interface HoverCardProps {
  row: number;
  left: number;
  top: number;
  points: Points;
  box: HTMLElement | null;
}

const WIDTH = 248;
const HEIGHT = 380;
const APART = 16;

export function HoverCard({ row, left, top, points, box }: HoverCardProps) {
  // Fetched anew, the points have other rows.
  if (row >= points.length || hovered.value !== row) return null;
  const { width, height } = box?.getBoundingClientRect() ?? { width: 0, height: 0 };
  const x = left + APART + WIDTH > width ? Math.max(left - APART - WIDTH, 4) : left + APART;
  const y = Math.min(Math.max(top - HEIGHT / 3, 4), Math.max(height - HEIGHT, 4));
  const point = { points, row };
  const reason = reasonOf(point);
  return (
    <div class="hover-card" style={{ left: `${x}px`, top: `${y}px` }}>
      <div class="hover-picture">
        <PointPicture {...point} />
      </div>
      <PointFacts {...point} />
      {reason && <p class="hover-reason">{reason}</p>}
      <p class="hover-id">
        <PointName {...point} />
      </p>
    </div>
  );
}
