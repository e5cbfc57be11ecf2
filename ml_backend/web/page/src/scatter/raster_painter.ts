/** Draws points by writing pixels, where there is no graphics card. */

import type { Rgb } from "../core/palette";
import type { Camera } from "./camera";
import type { Frame, Painter } from "./painter";
import type { Layer, Scene } from "./scene";

const OPAQUE = 0xff000000;

export class RasterPainter implements Painter {
  readonly name = "raster";
  private readonly context: CanvasRenderingContext2D;
  private image = new ImageData(1, 1);
  private pixels = new Uint32Array(1);
  private scene: Scene | null = null;

  constructor(private readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("This browser cannot draw on a canvas. Use a newer one.");
    this.context = context;
  }

  show(scene: Scene): void {
    this.scene = scene;
  }

  draw(camera: Camera, { width, height, ratio }: Frame, grow: number, share: number): void {
    this.resize(Math.round(width * ratio), Math.round(height * ratio));
    this.pixels.fill(0);
    for (const layer of this.scene?.layers ?? []) {
      this.drawLayer(this.scene as Scene, layer, camera, ratio, grow, share);
    }
    this.context.putImageData(this.image, 0, 0);
  }

  dispose(): void {
    this.scene = null;
  }

  private resize(width: number, height: number): void {
    if (this.image.width === width && this.image.height === height) return;
    this.canvas.width = Math.max(width, 1);
    this.canvas.height = Math.max(height, 1);
    this.image = new ImageData(this.canvas.width, this.canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  // One loop over all points, with nothing called in it: it is run for a million of them per frame.
  private drawLayer(
    scene: Scene,
    layer: Layer,
    camera: Camera,
    ratio: number,
    grow: number,
    share: number,
  ): void {
    const { pixels } = this;
    const { width, height } = this.image;
    const { x, y, color } = scene;
    const { places } = layer;
    const ink = Uint32Array.from(scene.palette, (rgb) => pack(layer.tint ?? rgb));
    const size = Math.max(1, Math.round(layer.size * grow * ratio));
    const inset = discInsets(size);
    const scale = camera.scale * ratio;
    const left = width / 2 - camera.x * scale - size / 2 + 0.5;
    const top = height / 2 + camera.y * scale - size / 2 + 0.5;
    const weight = Math.round(layer.alpha * 256);
    const count = Math.ceil(places.length * share);
    for (let i = 0; i < count; i++) {
      const place = places[i];
      const column = (x[place] * scale + left) | 0;
      const row = (top - y[place] * scale) | 0;
      if (column < 0 || row < 0 || column + size > width || row + size > height) continue;
      const over = ink[color[place]];
      for (let line = 0, start = row * width + column; line < size; line++, start += width) {
        const end = start + size - inset[line];
        for (let at = start + inset[line]; at < end; at++) {
          const under = pixels[at];
          if (weight === 256) pixels[at] = over;
          else if (under === 0) pixels[at] = (over & 0xffffff) | ((weight - 1) << 24);
          else pixels[at] = blend(over, under, weight);
        }
      }
    }
  }
}

const SMALLEST_DISC = 5;

/** Per line of a square, the pixels at each end that are outside the disc within it. */
function discInsets(size: number): Uint8Array {
  if (size < SMALLEST_DISC) return new Uint8Array(size);
  const radius = size / 2;
  return Uint8Array.from({ length: size }, (_, line) => {
    const half = Math.sqrt(radius ** 2 - (line + 0.5 - radius) ** 2);
    return Math.round(radius - half);
  });
}

function pack([red, green, blue]: Rgb): number {
  return (OPAQUE | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Lay a colour over a pixel; two channels at a time. */
function blend(over: number, under: number, weight: number): number {
  const rest = 256 - weight;
  const outer = (((over & 0xff00ff) * weight + (under & 0xff00ff) * rest) >>> 8) & 0xff00ff;
  const green = (((over & 0xff00) * weight + (under & 0xff00) * rest) >>> 8) & 0xff00;
  const solid = under >>> 24;
  const alpha = solid + (((255 - solid) * weight) >>> 8);
  return (outer | green | (alpha << 24)) >>> 0;
}
