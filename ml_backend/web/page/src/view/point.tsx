/** What is shown of one point: its picture, its facts, and what it is called. */

import { factsOf } from "../core/facts";
import type { Points } from "../core/points";
import { detailOf } from "../state/details";
import { current } from "../state/loading";
import { similarity } from "../state/project";
import { Sample } from "./sample";
import { Unread } from "./unread";

interface PointProps {
  points: Points;
  row: number;
}

/** With people's and the model's regions over it. */
export function PointPicture({ points, row }: PointProps) {
  const [task, region] = [points.task[row], points.region[row]];
  const detail = detailOf(task).value;
  if (detail === "failed") return <Unread said="Could not be read." />;
  if (detail === "loading") return <span class="tile-waits" />;
  return <Sample key={`${task}.${region}`} detail={detail} region={region} size={256} />;
}

/** Why it is a finding, in words; "" where it is none, or while it is on its way. */
export function reasonOf({ points, row }: PointProps): string {
  const detail = detailOf(points.task[row]).value;
  return typeof detail === "object" ? detail.reason : "";
}

export function PointFacts({ points, row }: PointProps) {
  return (
    <dl class="facts">
      {factsOf(points, row).map(({ field, title, said }) => (
        <div key={field}>
          <dt>
            {field === "label" && <span class="key-human" />}
            {field === "predicted" && <span class="key-model" />}
            {title}
          </dt>
          <dd class="cut">{said}</dd>
        </div>
      ))}
    </dl>
  );
}

export function PointName({ points, row }: PointProps) {
  const [task, region] = [points.task[row], points.region[row]];
  const distance = current(similarity.value)?.get(`${task}.${region}`);
  return (
    <>
      Task {task}
      {distance !== undefined && ` · distance ${distance.toFixed(3)}`}
    </>
  );
}
