/** What part of the plane is seen, and how places there and pixels go together. */

export interface Camera {
  /** Middle of what is seen. */
  x: number;
  y: number;
  /** Pixels per unit of the plane. */
  scale: number;
}

const FILLED = 0.46;
const MOST_ZOOM = 4000;

/** See the whole plane, [-1, 1] in both directions. */
export function wholePlane(width: number, height: number): Camera {
  return { x: 0, y: 0, scale: Math.max(Math.min(width, height) * FILLED, 1) };
}

export function toPixels(
  camera: Camera,
  width: number,
  height: number,
  x: number,
  y: number,
): [number, number] {
  return [(x - camera.x) * camera.scale + width / 2, height / 2 - (y - camera.y) * camera.scale];
}

export function toPlane(
  camera: Camera,
  width: number,
  height: number,
  left: number,
  top: number,
): [number, number] {
  return [
    camera.x + (left - width / 2) / camera.scale,
    camera.y - (top - height / 2) / camera.scale,
  ];
}

export function panned(camera: Camera, right: number, down: number): Camera {
  return { ...camera, x: camera.x - right / camera.scale, y: camera.y + down / camera.scale };
}

/** Zoom so that the place below a pixel stays there. */
export function zoomed(
  camera: Camera,
  width: number,
  height: number,
  left: number,
  top: number,
  factor: number,
): Camera {
  const least = wholePlane(width, height).scale * 0.5;
  const scale = Math.min(Math.max(camera.scale * factor, least), least * MOST_ZOOM);
  const [x, y] = toPlane(camera, width, height, left, top);
  return {
    x: x - (left - width / 2) / scale,
    y: y + (top - height / 2) / scale,
    scale,
  };
}
