/** Whatever can draw a scene onto a canvas. */

import type { Camera } from "./camera";
import { GlPainter } from "./gl_painter";
import { RasterPainter } from "./raster_painter";
import type { Scene } from "./scene";

/** Size of what is drawn on, pixels of the page, and pixels of the device per each of those. */
export interface Frame {
  width: number;
  height: number;
  ratio: number;
}

export interface Painter {
  readonly name: "webgl" | "raster";
  /** Take a scene whose points, colours or layers are other ones than before. */
  show(scene: Scene): void;
  /**
   * Draw.
   *
   * @param grow how much larger points are than their layers say.
   * @param share part of each layer that is drawn, 0 to 1; less while the camera moves.
   */
  draw(camera: Camera, frame: Frame, grow: number, share: number): void;
  dispose(): void;
}

/**
 * A graphics card where there is one. Without, browsers draw WebGL in software, where a million
 * points take a second a frame; our own loop takes hundredths.
 */
export function paintOn(box: HTMLElement, wanted: string | null): Painter {
  if (wanted !== "raster") {
    const canvas = addCanvas(box);
    const gl = canvas.getContext("webgl2", {
      antialias: false,
      failIfMajorPerformanceCaveat: wanted !== "webgl",
      powerPreference: "high-performance",
    });
    if (gl && (wanted === "webgl" || !isSoftware(gl))) return new GlPainter(canvas, gl);
    // A canvas that has had one kind of context can have no other.
    canvas.remove();
  }
  return new RasterPainter(addCanvas(box));
}

function addCanvas(box: HTMLElement): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  box.prepend(canvas);
  return canvas;
}

function isSoftware(gl: WebGL2RenderingContext): boolean {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = info ? String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) : "";
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}
