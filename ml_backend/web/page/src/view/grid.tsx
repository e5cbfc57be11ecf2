/** The samples as tiles; only those that are seen exist. The whole of it works by keyboard. */

import { useEffect, useRef, useState } from "preact/hooks";
import { wordTitle } from "../core/fields";
import { score } from "../core/format";
import { css } from "../core/palette";
import type { Points } from "../core/points";
import { FLAGGED } from "../state/actions";
import { type Detail, detailOf } from "../state/details";
import { focused, hovered, TILE_PX, tile } from "../state/focus";
import { type Answer, answer, coloring } from "../state/project";
import { gridKey, toggleRow } from "./grid_keys";
import { Sample } from "./sample";

const GAP = 8;
const CAPTION = 44;
const MARGIN_LINES = 2;

interface Window {
  top: number;
  width: number;
  height: number;
}

export function Grid() {
  const now = answer.value;
  const box = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState<Window>({ top: 0, width: 600, height: 400 });
  const side = TILE_PX[tile.value];
  const columns = Math.max(1, Math.floor((seen.width + GAP) / (side + GAP)));
  const line = Math.floor((seen.width + GAP) / columns) - GAP + CAPTION + GAP;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => {
      const { scrollTop, clientWidth, clientHeight } = element;
      setSeen({ top: scrollTop, width: clientWidth - 2 * GAP, height: clientHeight });
    };
    const watcher = new ResizeObserver(look);
    watcher.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      watcher.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);

  // The cursor stays in sight.
  const at = now ? positionOf(now.rows, focused.value) : -1;
  useEffect(() => {
    const element = box.current;
    if (!element || at < 0) return;
    const top = Math.floor(at / columns) * line;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + line > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + line + GAP - element.clientHeight;
    }
  }, [at, columns, line]);

  if (!now) return null;
  const lines = Math.ceil(now.rows.length / columns);
  const first = Math.max(0, Math.floor(seen.top / line) - MARGIN_LINES);
  const last = Math.min(lines, Math.ceil((seen.top + seen.height) / line) + MARGIN_LINES);
  const shown = Array.from(now.rows.subarray(first * columns, last * columns));
  return (
    <div
      ref={box}
      id="grid"
      class="grid"
      role="listbox"
      aria-label="Samples"
      aria-multiselectable="true"
      aria-activedescendant={at >= 0 ? `tile-${focused.value}` : undefined}
      tabIndex={0}
      onKeyDown={(event) => gridKey(event, now, columns, Math.floor(seen.height / line))}
      onFocus={() => {
        if (focused.peek() < 0 && now.rows.length) focused.value = now.rows[0];
      }}
    >
      <div class="grid-room" role="none" style={{ height: `${lines * line + GAP}px` }}>
        <div
          class="grid-seen"
          role="none"
          style={{
            transform: `translateY(${first * line}px)`,
            gridTemplateColumns: `repeat(${columns}, 1fr)`,
          }}
        >
          {shown.map((row, i) => (
            <Tile
              key={row}
              row={row}
              place={first * columns + i}
              answer={now}
              height={line - GAP}
              size={side > 180 ? 384 : 256}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

/** Rows are in the order of a score, so the cursor's place has to be looked for. */
function positionOf(rows: Uint32Array, row: number): number {
  return row < 0 ? -1 : rows.indexOf(row);
}

interface TileProps {
  row: number;
  place: number;
  answer: Answer;
  height: number;
  size: number;
}

function Tile({ row, place, answer: now, height, size }: TileProps) {
  const { points } = now.data;
  const detail = detailOf(points.task[row]).value;
  const chosen = now.picked.has(row);
  const at = focused.value === row;
  return (
    // Keys are heard by the grid, whose cursor this tile is under.
    <div
      id={`tile-${row}`}
      class={`tile${at ? " tile-at" : ""}${hovered.value === row ? " tile-hovered" : ""}`}
      role="option"
      aria-selected={chosen}
      aria-label={tileLabel(points, row)}
      aria-posinset={place + 1}
      aria-setsize={now.rows.length}
      style={{ height: `${height}px` }}
      onClick={(event) => {
        focused.value = row;
        if (event.shiftKey || event.metaKey || event.ctrlKey) toggleRow(now, row);
      }}
      onDblClick={() => openTask(detail)}
      onMouseEnter={() => {
        hovered.value = row;
      }}
      onMouseLeave={() => {
        hovered.value = -1;
      }}
    >
      <div class="tile-picture">
        {detail === "loading" && <span class="tile-waits" />}
        {detail === "failed" && <p class="no-picture">Could not be read: reload the page</p>}
        {typeof detail === "object" && (
          <Sample detail={detail} region={points.region[row]} size={size} />
        )}
        <button
          type="button"
          class="tile-check"
          tabIndex={-1}
          aria-hidden="true"
          onClick={(event) => {
            event.stopPropagation();
            focused.value = row;
            toggleRow(now, row);
          }}
        />
      </div>
      <TileCaption points={points} row={row} />
    </div>
  );
}

function TileCaption({ points, row }: { points: Points; row: number }) {
  const label = points.label.words[points.label.codes[row]];
  const predicted = points.predicted.words[points.predicted.codes[row]];
  const kind = points.kind.words[points.kind.codes[row]];
  const flag = points.flag.words[points.flag.codes[row]];
  const colors = coloring.value;
  const ink = colors && css(colors.palette[colors.codes[row]]);
  return (
    <div class="tile-caption">
      <div class="tile-labels">
        <span class="swatch" style={{ background: ink ?? "" }} />
        <span class="cut">{wordTitle("label", label)}</span>
        {predicted !== label && predicted !== "" && (
          <span class="tile-predicted cut" title={`The model says ${predicted}`}>
            → {predicted}
          </span>
        )}
      </div>
      <div class="tile-facts">
        <span class={`flag-dot flag-${flag || "none"}`} title={wordTitle("flag", flag)} />
        <span class="cut">{kind ? wordTitle("kind", kind) : `#${points.task[row]}`}</span>
        <span class="tile-score" title="Priority">
          {score(points.priority[row])}
        </span>
      </div>
    </div>
  );
}

function tileLabel(points: Points, row: number): string {
  const word = (field: "label" | "predicted" | "kind" | "flag") =>
    wordTitle(field, points[field].words[points[field].codes[row]]);
  const flagged = points.flag.words[points.flag.codes[row]] === FLAGGED ? ", needs review" : "";
  const parts = [`Task ${points.task[row]}`, word("label"), `model: ${word("predicted")}`];
  return `${parts.join(", ")}, ${word("kind")}, priority ${score(points.priority[row])}${flagged}`;
}

export function openTask(detail: Detail): void {
  if (typeof detail === "object") open(detail.url, "_blank", "noopener");
}
