/** Which painter draws, here. */

import { GlPainter } from "./gl_painter";
import type { Painter } from "./painter";
import { RasterPainter } from "./raster_painter";

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
