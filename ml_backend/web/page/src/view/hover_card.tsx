/** What a point is: its picture with people's and the model's regions, and what is said of it. */

import { TITLES, wordTitle } from "../core/fields";
import { score } from "../core/format";
import type { Points } from "../core/points";
import { detailOf } from "../state/details";
import { current } from "../state/loading";
import { similarity } from "../state/project";
import { Sample } from "./sample";

interface HoverCardProps {
  row: number;
  left: number;
  top: number;
  points: Points;
  box: HTMLElement | null;
}

const WIDTH = 248;
const HEIGHT = 340;
const APART = 16;

export function HoverCard({ row, left, top, points, box }: HoverCardProps) {
  if (row >= points.length) return null;
  const detail = detailOf(points.task[row]).value;
  const { width, height } = box?.getBoundingClientRect() ?? { width: 0, height: 0 };
  const x = left + APART + WIDTH > width ? Math.max(left - APART - WIDTH, 4) : left + APART;
  const y = Math.min(Math.max(top - HEIGHT / 3, 4), Math.max(height - HEIGHT, 4));
  const word = (field: "label" | "predicted" | "kind") =>
    wordTitle(field, points[field].words[points[field].codes[row]]);
  const reason = typeof detail === "object" ? detail.reason : "";
  return (
    <div class="hover-card" style={{ left: `${x}px`, top: `${y}px` }}>
      <div class="hover-picture">
        {typeof detail === "object" ? (
          <Sample
            key={`${detail.task}.${points.region[row]}`}
            detail={detail}
            region={points.region[row]}
            size={256}
          />
        ) : (
          <span class="tile-waits" />
        )}
      </div>
      <dl class="facts">
        <dt>
          <span class="key-human" /> Human
        </dt>
        <dd>{word("label")}</dd>
        <dt>
          <span class="key-model" /> Model
        </dt>
        <dd>
          {word("predicted")} {score(points.confidence[row])}
        </dd>
        <dt>{TITLES.priority}</dt>
        <dd>{score(points.priority[row])}</dd>
        <dt>Finding</dt>
        <dd>{word("kind")}</dd>
      </dl>
      {reason && <p class="hover-reason">{reason}</p>}
      <p class="hover-id">
        Task {points.task[row]}
        <Distance task={points.task[row]} region={points.region[row]} />
      </p>
    </div>
  );
}

function Distance({ task, region }: { task: number; region: number }) {
  const distance = current(similarity.value)?.get(`${task}.${region}`);
  return distance === undefined ? null : <> · distance {distance.toFixed(3)}</>;
}
