/** Which row the pointer or the keyboard is at, and what is shown over the page. */

import { signal } from "@preact/signals";

/** Row under the keyboard's cursor in the grid, -1 for none. */
export const focused = signal(-1);
/** Row under the pointer, wherever it is shown. */
export const hovered = signal(-1);

export type Tile = "small" | "medium" | "large";
export const TILE_PX: Readonly<Record<Tile, number>> = { small: 112, medium: 160, large: 240 };
export const tile = signal<Tile>("medium");

/** Whether points of one class amid another's cluster stand out. */
export const showAmid = signal(true);
export const showHuman = signal(true);
export const showModel = signal(true);
/** Whether the side bar is open where there is no room for it beside the rest. */
export const sidebarOpen = signal(false);
export const keysOpen = signal(false);
