/** The samples as tiles; only those that are seen exist. The whole of it works by keyboard. */

import { useEffect, useRef, useState } from "preact/hooks";
import { MOST_PX, type Place, placeOf, scrolled } from "../core/tall_list";
import { unanswered } from "../state/asked";
import {
  asked,
  focused,
  focusRow,
  moves,
  place,
  placeToStart,
  TILE_PX,
  tile,
} from "../state/focus";
import { answer } from "../state/project";
import { gridKey } from "./grid_keys";
import { Tile } from "./tile";

const GAP = 8;
const CAPTION = 44;
const MARGIN_LINES = 2;

interface Window extends Place {
  width: number;
  height: number;
}

export function Grid() {
  const now = answer.value;
  const box = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState<Window>({ scroll: 0, top: 0, width: 600, height: 400 });
  const side = TILE_PX[tile.value];
  const columns = Math.max(1, Math.floor((seen.width + GAP) / (side + GAP)));
  const line = Math.floor((seen.width + GAP) / columns) - GAP + CAPTION + GAP;
  const lines = Math.ceil((now?.rows.length ?? 0) / columns);
  const whole = lines * line + GAP;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => {
      const { scrollTop, clientWidth, clientHeight } = element;
      setSeen((before) => ({
        ...scrolled(before, scrollTop, whole, clientHeight),
        width: clientWidth - 2 * GAP,
        height: clientHeight,
      }));
    };
    const watcher = new ResizeObserver(look);
    watcher.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      watcher.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [whole]);

  const goTo = (top: number) => {
    const element = box.current;
    if (!element) return;
    const next = placeOf(top, whole, element.clientHeight);
    setSeen((before) => ({ ...before, ...next }));
    if (element.scrollTop !== next.scroll) element.scrollTop = next.scroll;
  };

  // The cursor is brought into sight where the reader is at work, and what was asked for is there;
  // not under one who has read on while others change what there is.
  const at = place.value;
  useEffect(() => {
    const element = box.current;
    if (!element || at < 0) return;
    const { scrollTop, clientHeight } = element;
    const edge = scrolled(seen, scrollTop, whole, clientHeight).top;
    const top = Math.floor(at / columns) * line;
    if (top < edge) goTo(top);
    else if (top + line > edge + clientHeight) goTo(top + line + GAP - clientHeight);
  }, [moves.value, asked.value, unanswered.value === null, at >= 0, columns, line]);

  if (!now) return null;
  const first = Math.max(0, Math.floor(seen.top / line) - MARGIN_LINES);
  const last = Math.min(lines, Math.ceil((seen.top + seen.height) / line) + MARGIN_LINES);
  const shown = Array.from({ length: Math.max(last - first, 0) }, (_, i) =>
    Array.from(now.rows.subarray((first + i) * columns, (first + i + 1) * columns)),
  );
  return (
    <div
      ref={box}
      id="grid"
      class="grid"
      role="grid"
      aria-label="Samples"
      aria-rowcount={lines}
      aria-colcount={columns}
      aria-multiselectable="true"
      aria-activedescendant={at >= 0 ? `tile-${focused.value}` : undefined}
      tabIndex={0}
      onScrollEnd={() => goTo(seen.top)}
      onKeyDown={(event) => gridKey(event, now, columns, Math.floor(seen.height / line))}
      onFocus={({ currentTarget }) => {
        // Who presses on a tile chooses that one, and it must not move away from under the pointer.
        if (!currentTarget.matches(":focus-visible")) return;
        if (focused.peek() >= 0 || now.rows.length === 0) return;
        focusRow(now.data.points, now.rows[Math.min(placeToStart(), now.rows.length - 1)]);
      }}
    >
      <div class="grid-room" role="none" style={{ height: `${Math.min(whole, MOST_PX)}px` }}>
        <div
          class="grid-seen"
          role="none"
          style={{
            transform: `translateY(${first * line - seen.top + seen.scroll}px)`,
            gridTemplateColumns: `repeat(${columns}, 1fr)`,
          }}
        >
          {shown.map((rows, i) => (
            // biome-ignore lint/a11y/useFocusableInteractive: the grid itself has the focus.
            <div key={first + i} class="grid-line" role="row" aria-rowindex={first + i + 1}>
              {rows.map((row, column) => (
                <Tile
                  key={row}
                  row={row}
                  column={column}
                  answer={now}
                  height={line - GAP}
                  size={side > 180 ? 384 : 256}
                />
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
