/** The projector: the scatter plot, its tools, what is laid over it, and its legend. */

import { computed, effect, untracked } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { count } from "../core/format";
import { keyName } from "../core/keys";
import type { Rgb } from "../core/palette";
import { filled } from "../core/points";
import { type Area, drawn, type How, toggleItem } from "../core/selection";
import { layersOf } from "../scatter/layers";
import { Plot, type Tool } from "../scatter/plot";
import { gather, type Scene, shuffledRows } from "../scatter/scene";
import { areaHow, focusRow, hovered, marked, showAmid } from "../state/focus";
import {
  type Answer,
  answer,
  areaIsStale,
  coloring,
  control,
  currentData,
  part,
} from "../state/project";
import { changeView, projectId, view } from "../state/route";
import { isDark } from "../state/theme";
import { HoverCard } from "./hover_card";
import { itemKey } from "./item_keys";
import { Legend } from "./legend";
import { MapTools } from "./map_tools";
import { Empty } from "./states";

const GHOST: Rgb = [140, 145, 155];
const ACCENT_LIGHT: Rgb = [67, 83, 214];
const ACCENT_DARK: Rgb = [139, 152, 255];
const INK_LIGHT: Rgb = [20, 22, 28];
const INK_DARK: Rgb = [245, 246, 250];
/** Fewer are not laid out. */
const FEWEST = 20;
const RENDERER_KEY = "relook-renderer";

/** Rows in the order in which they are drawn, and where they are. */
const arrangement = computed(() => {
  const points = currentData.value?.points;
  if (!points) return null;
  const rows = shuffledRows(points.x);
  return { rows, x: gather(points.x, rows), y: gather(points.y, rows) };
});

const colors = computed(() => {
  const [now, order] = [coloring.value, arrangement.value];
  if (!now || !order) return null;
  const { rows } = order;
  const color = filled(new Uint8Array(rows.length), (place) => now.codes[rows[place]]);
  return { color, palette: now.palette };
});

const scene = computed<{ scene: Scene; answer: Answer } | null>(() => {
  const [now, order, ink] = [answer.value, arrangement.value, colors.value];
  if (!now || !order || !ink) return null;
  const layers = layersOf({
    rows: order.rows,
    mask: now.data.counting.mask,
    amid: now.data.amid,
    showAmid: showAmid.value,
    picked: now.picked,
    ghost: GHOST,
    frame: isDark() ? INK_DARK : INK_LIGHT,
    accent: isDark() ? ACCENT_DARK : ACCENT_LIGHT,
  });
  return { scene: { x: order.x, y: order.y, ...ink, layers }, answer: now };
});

interface Hover {
  row: number;
  left: number;
  top: number;
}

export function MapPanel() {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const [tool, setTool] = useState<Tool>("lasso");
  const [hover, setHover] = useState<Hover | null>(null);
  const [ring, setRing] = useState<number[] | null>(null);
  const [moves, setMoves] = useState(0);

  useEffect(() => {
    const made = new Plot(
      box.current as HTMLDivElement,
      {
        ring: (ring, how) => drawArea(ring, how ?? areaHow.peek()),
        click: clickRow,
        drawing: (now) => setRing(now && [...now]),
        hover: (row, left, top) => {
          hovered.value = row;
          setHover(row < 0 ? null : { row, left, top });
        },
        moved: () => setMoves((n) => n + 1),
      },
      localStorage.getItem(RENDERER_KEY),
    );
    made.tool = tool;
    plot.current = made;
    const stop = effect(() => {
      const now = scene.value;
      if (!now) return;
      const { mask } = now.answer.data.counting;
      const of = `${projectId.value} ${control.value?.name} ${part.value}`;
      made.show(of, now.scene, now.answer.data.space, (row) => mask[row] === 0);
    });
    return () => {
      stop();
      made.dispose();
    };
  }, []);
  if (plot.current) plot.current.tool = tool;

  const now = answer.value;
  const missing = now ? now.data.points.length - now.data.space.placed : 0;
  return (
    <section class="panel map-panel" aria-label="Map">
      <div
        ref={box}
        id="plot"
        class={`plot plot-${tool}`}
        role="application"
        aria-roledescription="map"
        aria-label="All points. The grid lists the same ones. Arrows move, plus and minus zoom, J and K choose, V takes what is in sight as the area."
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrows, plus and minus move the map.
        tabIndex={0}
        onKeyDown={(event) => plot.current && plotKey(event, plot.current)}
      >
        <Marks plot={plot.current} ring={ring} moves={moves} />
        {hover && now && <HoverCard {...hover} points={now.data.points} box={box.current} />}
      </div>
      <MapTools
        plot={() => plot.current}
        tool={tool}
        choose={setTool}
        takeSight={() => plot.current && drawArea(plot.current.sight(), areaHow.value)}
      />
      <Legend />
      {missing > 0 && missing === now?.data.points.length && <NoMap />}
      {missing > 0 && missing !== now?.data.points.length && (
        <p class="map-note">{count(missing)} not laid out yet</p>
      )}
    </section>
  );
}

/** Each point lacks a place: why, and what to do. */
function NoMap() {
  return (
    <div class="map-empty">
      <Empty title="Nothing is laid out">
        <p>{whyNoMap()}</p>
        <p>The grid shows all of them.</p>
      </Empty>
    </div>
  );
}

function whyNoMap(): string {
  const geometry = control.value?.geometry;
  if (part.value === "regions" && (geometry === "span" || geometry === "point")) {
    return `Single ${geometry}s have no place on a map: choose Whole.`;
  }
  if ((currentData.value?.points.length ?? 0) < FEWEST) {
    return `A map needs ${FEWEST} points or more.`;
  }
  return (
    "A map needs embeddings. Name an embedder in the model connection's extra params in Label " +
    "Studio, then analyse the project; its map comes with the end of a run."
  );
}

interface MarksProps {
  plot: Plot | null;
  ring: number[] | null;
  /** Another number each time the camera moves: with the same ones nothing is drawn anew. */
  moves: number;
}

/** The ring being drawn, the area drawn before, and the row at the pointer or the cursor. */
function Marks({ plot, ring }: MarksProps) {
  const points = currentData.value?.points;
  if (!plot || !points) return null;
  const area = areaInPlane().map(({ how, ring: corners }) => ({
    how,
    text: pixelText(plot, corners),
  }));
  const row = marked.value;
  const at = row >= 0 && row < points.length ? plot.place(points.x[row], points.y[row]) : null;
  return (
    <svg class="marks" aria-hidden="true">
      {area.map(({ how, text }) => (
        <polygon class={`area area-${how}`} points={text} />
      ))}
      {ring && <polygon class="area area-drawing" points={ring.join(" ")} />}
      {at && !Number.isNaN(at[0]) && <circle class="mark-at" cx={at[0]} cy={at[1]} r={9} />}
    </svg>
  );
}

function pixelText(plot: Plot, ring: readonly number[]): string {
  const places: string[] = [];
  for (let i = 0; i < ring.length; i += 2) places.push(plot.place(ring[i], ring[i + 1]).join(","));
  return places.join(" ");
}

/** The area as far as it was drawn on the plane that is seen. */
const areaInPlane = (): Area => (areaIsStale.value ? [] : view.value.area);

function drawArea(ring: number[], how: How): void {
  const plane = currentData.peek()?.points.plane ?? "";
  changeView({ area: drawn(untracked(areaInPlane), how, ring), plane, picked: [] });
}

function clickRow(row: number, how: How | null): void {
  const points = currentData.peek()?.points;
  if (!points) return;
  if (row < 0) {
    if (!how && areaHow.peek() === "replace") changeView({ area: [] });
    return;
  }
  focusRow(points, row);
  const item = [points.task[row], points.region[row]] as const;
  if (how) changeView({ picked: toggleItem(view.peek().picked, item) }, "replace");
}

function plotKey(event: KeyboardEvent, plot: Plot): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const now = answer.peek();
  const pans: Record<string, [number, number]> = {
    ...{ ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] },
  };
  const key = keyName(event);
  const pan = pans[key];
  if (pan) plot.pan(...pan);
  else if (key === "+" || key === "=") plot.zoom(1.4);
  else if (key === "-") plot.zoom(1 / 1.4);
  else if (key === "0") plot.reset();
  else if (key === "v" && !event.repeat) drawArea(plot.sight(), areaHow.peek());
  else if (!now || !itemKey(event, now)) return;
  event.preventDefault();
}
