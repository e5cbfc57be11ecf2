/** What is known of the sample at the cursor, whichever of map and grid is shown. */

import { useRef } from "preact/hooks";
import { factsOf, sentences } from "../core/facts";
import { detailOf } from "../state/details";
import { focused } from "../state/focus";
import { type Answer, answer } from "../state/project";
import { Icon, type IconName } from "./icons";
import { moreLike, openTask, toggleRow } from "./item_keys";
import { PointFacts, PointName, PointPicture, reasonOf } from "./point";

/** Names the element that describes the tile at the cursor. */
export const DESCRIPTION = "details-said";

/** It has its place also while it is empty: a click moves nothing. */
export function Details() {
  const [now, row] = [answer.value, focused.value];
  if (!now) return null;
  return (
    <section class="details" aria-label="Details">
      <Spoken now={now} row={row} />
      {row < 0 ? (
        <p class="hint">
          Choose a point or a sample: what it is, and why it was found, stands here.
        </p>
      ) : (
        <Chosen now={now} row={row} />
      )}
    </section>
  );
}

interface DetailsProps {
  now: Answer;
  row: number;
}

function Chosen({ now, row }: DetailsProps) {
  const { points } = now.data;
  const reason = reasonOf({ points, row });
  return (
    <>
      <div class="details-picture">
        <PointPicture points={points} row={row} />
      </div>
      <div class="details-facts">
        <p class="details-reason" title={reason}>
          <strong>
            <PointName points={points} row={row} />
          </strong>{" "}
          {reason}
        </p>
        <PointFacts points={points} row={row} />
      </div>
      <div class="details-acts">
        <Act
          icon="check"
          title="Pick"
          hint="Pick (Space)"
          pressed={now.picked.has(row)}
          act={() => toggleRow(now, row)}
        />
        <Act
          icon="open"
          title="Open"
          hint="Open in Label Studio (Enter)"
          act={() => openTask(points.task[row])}
        />
        <Act
          icon="like"
          title="More like this"
          hint="More like this (M)"
          act={() => moreLike(points, row)}
        />
      </div>
    </>
  );
}

interface ActProps {
  icon: IconName;
  title: string;
  hint: string;
  pressed?: boolean;
  act: () => void;
}

function Act({ icon, title, hint, pressed, act }: ActProps) {
  return (
    <button type="button" class="button" title={hint} aria-pressed={pressed} onClick={act}>
      <Icon name={icon} /> {title}
    </button>
  );
}

/** In the grid a tile says itself who it is, and is described; elsewhere all of it is said once. */
function Spoken({ now, row }: DetailsProps) {
  const { points } = now.data;
  const item = row < 0 ? "" : `${points.task[row]}.${points.region[row]}`;
  const chosen = useRef({ item: "", inGrid: false });
  // What counts is where one was as it was chosen: to go elsewhere later is no news of it.
  if (chosen.current.item !== item) {
    chosen.current = { item, inGrid: document.activeElement?.id === "grid" };
  }
  const known = row >= 0 && detailOf(points.task[row]).value !== "loading";
  const facts = known ? factsOf(points, row) : [];
  const reason = known ? reasonOf({ points, row }) : "";
  const numbers = facts.filter(({ field }) => field === "confidence" || field === "iou");
  return (
    <>
      <p id={DESCRIPTION} hidden>
        {sentences(numbers, reason)}
      </p>
      <p class="hidden" role="status">
        {known && !chosen.current.inGrid && `Task ${points.task[row]}. ${sentences(facts, reason)}`}
      </p>
    </>
  );
}
