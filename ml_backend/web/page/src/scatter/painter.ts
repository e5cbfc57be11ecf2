/** Whatever can draw a scene onto a canvas. */

import type { Camera } from "./camera";
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
