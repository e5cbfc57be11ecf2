/** One sample in the grid. */

import { wordTitle } from "../core/fields";
import { score } from "../core/format";
import { css } from "../core/palette";
import type { Points } from "../core/points";
import { detailOf } from "../state/details";
import { focused, focusRow, hovered } from "../state/focus";
import { type Answer, coloring, control } from "../state/project";
import { DESCRIPTION } from "./details";
import { Icon, type IconName } from "./icons";
import { moreLike, openTask, toggleRow } from "./item_keys";
import { Sample } from "./sample";
import { Unread } from "./unread";

interface TileProps {
  row: number;
  column: number;
  answer: Answer;
  height: number;
  /** Longer side of the picture that is asked for, pixels. */
  size: number;
}

export function Tile({ row, column, answer, height, size }: TileProps) {
  const { points } = answer.data;
  const at = focused.value === row;
  const click = (event: MouseEvent) => {
    focusRow(points, row);
    if (event.shiftKey || event.metaKey || event.ctrlKey) toggleRow(answer, row);
  };
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus, and names this tile.
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid hears the keys.
    <div
      id={`tile-${row}`}
      class={`tile${at ? " tile-at" : ""}${hovered.value === row ? " tile-hovered" : ""}`}
      role="gridcell"
      aria-selected={answer.picked.has(row)}
      aria-colindex={column + 1}
      aria-describedby={at ? DESCRIPTION : undefined}
      style={{ height: `${height}px` }}
      onClick={click}
      onDblClick={() => openTask(points.task[row])}
      onMouseEnter={() => {
        hovered.value = row;
      }}
      onMouseLeave={() => {
        hovered.value = -1;
      }}
    >
      <Picture row={row} answer={answer} size={size} />
      <Caption points={points} row={row} />
    </div>
  );
}

function Picture({ row, answer, size }: { row: number; answer: Answer; size: number }) {
  const { points } = answer.data;
  const detail = detailOf(points.task[row]).value;
  return (
    <div class="tile-picture">
      {detail === "loading" && <span class="tile-waits" />}
      {detail === "failed" && <Unread said="Could not be read." />}
      {typeof detail === "object" && (
        <Sample detail={detail} region={points.region[row]} size={size} />
      )}
      <TileButton kind="tile-check" title="Pick (Space)" act={() => toggleRow(answer, row)} />
      <div class="tile-buttons">
        <TileButton icon="like" title="More like this (M)" act={() => moreLike(points, row)} />
        <TileButton
          icon="open"
          title="Open in Label Studio (Enter)"
          act={() => openTask(points.task[row])}
        />
      </div>
    </div>
  );
}

interface TileButtonProps {
  kind?: string;
  icon?: IconName;
  title: string;
  act: () => void;
}

/** For the pointer: by keyboard, the grid's keys do the same. */
function TileButton({ kind = "tile-button", icon, title, act }: TileButtonProps) {
  const click = (event: MouseEvent) => {
    event.stopPropagation();
    act();
  };
  return (
    <button
      type="button"
      class={kind}
      title={title}
      tabIndex={-1}
      aria-label={title}
      onClick={click}
      onDblClick={(event) => event.stopPropagation()}
    >
      {icon && <Icon name={icon} />}
    </button>
  );
}

function Caption({ points, row }: { points: Points; row: number }) {
  const label = points.label.words[points.label.codes[row]];
  const predicted = points.predicted.words[points.predicted.codes[row]];
  const kind = points.kind.words[points.kind.codes[row]];
  const flag = points.flag.words[points.flag.codes[row]];
  const tags = points.tags.words[points.tags.codes[row]];
  // Of a whole input with regions both are its most frequent classes: no pair.
  const comparable = points.region[row] >= 0 || control.value?.geometry === "choice";
  const colors = coloring.value;
  const ink = colors && css(colors.palette[colors.codes[row]]);
  return (
    <div class="tile-caption">
      <div class="tile-labels">
        <span class="hidden">Task {points.task[row]}: </span>
        <span class="swatch" style={{ background: ink ?? "" }} />
        <span class="cut">{wordTitle("label", label)}</span>
        {comparable && predicted !== label && predicted !== "" && (
          <span class="tile-predicted cut" title={`The model says ${predicted}`}>
            → <span class="hidden">model: </span>
            {predicted}
          </span>
        )}
        {tags && <span class="tile-tags cut">{tags.replaceAll("\n", ", ")}</span>}
      </div>
      <div class="tile-facts">
        <span class={`flag-dot flag-${flag || "none"}`} title={wordTitle("flag", flag)} />
        <span class="hidden">{wordTitle("flag", flag)}, </span>
        <span class="cut">{kind ? wordTitle("kind", kind) : `Task ${points.task[row]}`}</span>
        <span class="tile-score" title="Priority">
          <span class="hidden">, priority </span>
          {score(points.priority[row])}
        </span>
      </div>
    </div>
  );
}
