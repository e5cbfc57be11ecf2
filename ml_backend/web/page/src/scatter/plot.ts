/** The scatter plot on its canvas: what is drawn when, and what the pointer does. */

import type { How } from "../core/selection";
import type { Space } from "../core/space";
import { type Camera, panned, toPixels, toPlane, wholePlane, zoomed } from "./camera";
import { paintOn } from "./paint_on";
import type { Painter } from "./painter";
import type { Scene } from "./scene";

export type Tool = "pan" | "lasso" | "box";

export interface PlotEvents {
  /** A ring was drawn: x, y, … in the plane; how, where a key said it. */
  ring(ring: number[], how: How | null): void;
  /** The pointer is over a row, or over none: -1. Pixels within the plot. */
  hover(row: number, left: number, top: number): void;
  click(row: number, how: How | null): void;
  /** The ring as it is drawn, as pixels x, y, …; null when done. */
  drawing(ring: number[] | null): void;
  /** The camera moved: what is laid over the plot goes with it. */
  moved(): void;
}

const REACH = 8;
const CLICK = 4;
const FRAME_MS = 24;
const SLOW_MS = 60;
const STILL_MS = 140;
const WHEEL = 0.0016;
const KEY_STEP = 60;

export class Plot {
  tool: Tool = "pan";
  private of = "";
  private camera: Camera | null = null;
  private painter: Painter;
  private scene: Scene | null = null;
  private space: Space | null = null;
  private passes: (row: number) => boolean = () => true;
  private frame = { width: 1, height: 1, ratio: 1 };
  private pending = 0;
  private still: ReturnType<typeof setTimeout> | undefined;
  /** What drawing all points takes, milliseconds; of a graphics card, what telling it takes. */
  private cost = 0;
  private moving = false;
  private readonly watcher: ResizeObserver;
  private readonly stops = new AbortController();
  private readonly pointers = new Map<number, [number, number]>();
  private ring: number[] | null = null;
  private start: [number, number] = [0, 0];
  /** Whether the pointer has left the place where it went down: a ring may end there. */
  private left = false;

  constructor(
    private readonly box: HTMLElement,
    private readonly events: PlotEvents,
    renderer: string | null,
  ) {
    this.painter = paintOn(box, renderer);
    box.dataset.renderer = this.painter.name;
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(box);
    this.listen();
  }

  /** @param of what the plane is of: another one is seen from the start again. */
  show(of: string, scene: Scene, space: Space, passes: (row: number) => boolean): void {
    if (of !== this.of) this.camera = null;
    this.of = of;
    this.scene = scene;
    this.space = space;
    this.passes = passes;
    this.painter.show(scene);
    // What takes long is seen in part at once, and whole a moment later.
    if (this.cost > SLOW_MS) this.settle();
    this.redraw();
  }

  /** See everything. */
  reset(): void {
    this.camera = null;
    this.redraw();
    this.events.moved();
  }

  zoom(factor: number): void {
    const { width, height } = this.frame;
    this.move(zoomed(this.view(), width, height, width / 2, height / 2, factor));
  }

  pan(right: number, down: number): void {
    this.move(panned(this.view(), right * KEY_STEP, down * KEY_STEP));
  }

  /** The part of the plane that is seen, as a ring. */
  sight(): number[] {
    const { width, height } = this.frame;
    return this.inPlane([0, 0, width, 0, width, height, 0, height]);
  }

  /** Where a place of the plane is on the plot, pixels. */
  place(x: number, y: number): [number, number] {
    return toPixels(this.view(), this.frame.width, this.frame.height, x, y);
  }

  dispose(): void {
    this.watcher.disconnect();
    this.stops.abort();
    cancelAnimationFrame(this.pending);
    clearTimeout(this.still);
    this.painter.dispose();
    this.box.querySelector("canvas")?.remove();
  }

  private view(): Camera {
    this.camera ??= wholePlane(this.frame.width, this.frame.height);
    return this.camera;
  }

  private resize(): void {
    const { width, height } = this.box.getBoundingClientRect();
    const before = wholePlane(this.frame.width, this.frame.height);
    const whole = this.camera === null || this.camera.scale === before.scale;
    this.frame = { width, height, ratio: Math.min(devicePixelRatio || 1, 2) };
    if (whole) this.camera = null;
    this.redraw();
    this.events.moved();
  }

  private move(camera: Camera): void {
    this.camera = camera;
    this.settle();
    this.redraw();
    this.events.moved();
  }

  /** Draw a part of the points until nothing has changed for a moment. */
  private settle(): void {
    this.moving = true;
    clearTimeout(this.still);
    this.still = setTimeout(() => {
      this.moving = false;
      this.redraw();
    }, STILL_MS);
  }

  private redraw(): void {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.draw();
    });
  }

  private draw(): void {
    if (!this.scene || this.frame.width < 2) return;
    // Points are in a random order: while the camera moves, a part of them stands for all.
    const share = this.moving ? Math.min(1, Math.max(0.04, FRAME_MS / Math.max(this.cost, 1))) : 1;
    const whole = wholePlane(this.frame.width, this.frame.height).scale;
    const grow = Math.min(Math.max((this.view().scale / whole) ** 0.3, 1), 3);
    const began = performance.now();
    this.painter.draw(this.view(), this.frame, grow, share);
    const took = performance.now() - began;
    if (share === 1 || took > FRAME_MS) this.cost = took / share;
    this.box.dataset.drawn = String(Number(this.box.dataset.drawn ?? 0) + 1);
    this.box.dataset.share = share.toFixed(3);
    this.box.dataset.took = took.toFixed(1);
  }

  /** A graphics card may be taken away at any time; then our own loop draws. */
  private paintWithoutCard(): void {
    this.painter.dispose();
    this.box.querySelector("canvas")?.remove();
    this.painter = paintOn(this.box, "raster");
    this.box.dataset.renderer = this.painter.name;
    if (this.scene) this.painter.show(this.scene);
    this.redraw();
  }

  private listen(): void {
    const { signal } = this.stops;
    const lost = () => this.paintWithoutCard();
    this.box.addEventListener("webglcontextlost", lost, { signal, capture: true });
    const on = <K extends keyof HTMLElementEventMap>(
      kind: K,
      act: (event: HTMLElementEventMap[K]) => void,
    ) => this.box.addEventListener(kind, act, { signal });
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.moveTo(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", (event) => this.cancel(event));
    on("pointerleave", () => this.events.hover(-1, 0, 0));
    on("dblclick", () => this.reset());
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const [left, top] = this.at(event);
      const { width, height } = this.frame;
      this.move(zoomed(this.view(), width, height, left, top, Math.exp(-event.deltaY * WHEEL)));
    };
    this.box.addEventListener("wheel", wheel, { signal, passive: false });
  }

  private at(event: MouseEvent): [number, number] {
    const { left, top } = this.box.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0 || (event.target as Element).closest("button, input, select")) return;
    const at = this.at(event);
    this.pointers.set(event.pointerId, at);
    this.box.setPointerCapture(event.pointerId);
    this.start = at;
    this.left = false;
    this.ring = null;
    // A second finger always zooms.
    if (this.pointers.size > 1) this.events.drawing(null);
    else if (this.drawsRing(event)) this.ring = [...at];
    this.events.hover(-1, 0, 0);
  }

  private drawsRing(event: PointerEvent): boolean {
    return this.tool !== "pan" || event.shiftKey || event.altKey;
  }

  private moveTo(event: PointerEvent): void {
    const at = this.at(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) this.hover(at);
    // Let go where nobody heard of it, as in a menu that came up.
    else if (event.pointerType === "mouse" && event.buttons === 0) this.cancel(event);
    else this.drag(event.pointerId, before, at);
  }

  private drag(pointer: number, before: [number, number], at: [number, number]): void {
    this.pointers.set(pointer, at);
    this.left ||= Math.hypot(at[0] - this.start[0], at[1] - this.start[1]) >= CLICK;
    if (this.pointers.size === 2) this.pinch(pointer, before, at);
    else if (this.ring) this.draws(at);
    else this.move(panned(this.view(), at[0] - before[0], at[1] - before[1]));
  }

  private draws(at: [number, number]): void {
    const ring = this.ring as number[];
    if (this.tool === "box") {
      const [x, y] = this.start;
      this.ring = [x, y, at[0], y, at[0], at[1], x, at[1]];
    } else {
      ring.push(...at);
    }
    this.events.drawing(this.ring);
  }

  private pinch(moved: number, before: [number, number], at: [number, number]): void {
    const other = [...this.pointers].find(([id]) => id !== moved)?.[1];
    if (!other) return;
    const apart = (a: number[], b: number[]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    const factor = apart(at, other) / Math.max(apart(before, other), 1);
    const { width, height } = this.frame;
    const middle = [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2];
    const shifted = panned(this.view(), (at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.move(zoomed(shifted, width, height, middle[0], middle[1], factor));
  }

  private up(event: PointerEvent): void {
    if (!this.pointers.delete(event.pointerId)) return;
    const at = this.at(event);
    const ring = this.ring;
    this.ring = null;
    this.events.drawing(null);
    const how = event.altKey ? "subtract" : event.shiftKey ? "add" : null;
    if (!this.left && !this.pointers.size) {
      this.events.click(this.rowAt(at), how);
    } else if (ring && ring.length >= 6) {
      this.events.ring(this.inPlane(ring), how);
    }
  }

  private cancel(event: PointerEvent): void {
    const { pointerId } = event;
    this.pointers.delete(pointerId);
    if (this.box.hasPointerCapture(pointerId)) this.box.releasePointerCapture(pointerId);
    this.ring = null;
    this.events.drawing(null);
  }

  private inPlane(ring: number[]): number[] {
    const { width, height } = this.frame;
    const found: number[] = [];
    for (let i = 0; i < ring.length; i += 2) {
      found.push(...toPlane(this.view(), width, height, ring[i], ring[i + 1]));
    }
    return found;
  }

  private rowAt([left, top]: [number, number]): number {
    const { width, height } = this.frame;
    const [x, y] = toPlane(this.view(), width, height, left, top);
    return this.space?.nearest(x, y, REACH / this.view().scale, this.passes) ?? -1;
  }

  private hover(at: [number, number]): void {
    this.events.hover(this.rowAt(at), ...at);
  }
}
