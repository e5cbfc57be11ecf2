/** The rooms of a project, and what a page is called in a browser's tab. */

import type { Room } from "./address";

export const ROOMS: readonly { room: Room; title: string }[] = [
  { room: "review", title: "Review" },
  { room: "overview", title: "Overview" },
  { room: "activity", title: "Activity" },
];

const titles = new Map(ROOMS.map(({ room, title }) => [room, title]));

/** The narrowest first: tabs cut off the end. */
export const projectTitle = (room: Room, project: string): string =>
  pageTitle(`${titles.get(room)} · ${project}`);
export const pageTitle = (title: string): string => `${title} · Relook`;
