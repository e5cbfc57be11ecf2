/** The address bar as a signal: which project, and which view of it. */

import { computed, signal } from "@preact/signals";
import type { Part } from "../api/contract";
import { type Cell, readView, type View, writeView } from "../core/address";
import type { Filters } from "../core/filters";
import { later } from "../core/later";

const BASE = "/page/";

const place = signal({ path: location.pathname, search: location.search });

/** Safari takes a hundred addresses in thirty seconds, and refuses more. */
const REST_MS = 350;

function write(how: "pushState" | "replaceState", address: string): void {
  try {
    history[how](null, "", address);
  } catch {
    // Too many at once: the view is the one that was asked for, and the next address says it.
  }
}

/** A slider asks for many addresses a second. */
const replacing = later((address: string) => write("replaceState", address), REST_MS);

addEventListener("popstate", () => {
  replacing.drop();
  place.value = { path: location.pathname, search: location.search };
});

/** The project of the address, null on the list of projects. */
export const projectId = computed<number | null>(() => {
  const found = /^\/page\/projects\/(\d+)/.exec(place.value.path);
  return found ? Number(found[1]) : null;
});

export const view = computed<View>(() => readView(place.value.search));

/** Where in the project one is. */
export const room = computed(() => view.value.room);

/** The whole address of what is seen: the browser's own may come a moment later. */
export const addressOfView = (): string =>
  new URL(place.value.path + place.value.search, location.href).href;

export const projectPath = (id: number): string => `${BASE}projects/${id}`;

function go(path: string, query: string, how: "push" | "replace"): void {
  const search = query ? `?${query}` : "";
  if (path === place.value.path && search === place.value.search) return;
  if (how === "push") {
    replacing.flush();
    write("pushState", path + search);
  } else replacing.put(path + search);
  place.value = { path, search };
}

export function openProject(id: number | null, query = ""): void {
  go(id === null ? BASE : projectPath(id), query, "push");
}

/** Change the view. What a person may want to go back from is pushed; the rest replaces. */
export function changeView(change: Partial<View>, how: "push" | "replace" = "push"): void {
  go(place.value.path, writeView({ ...view.value, ...change }), how);
}

/** For a view of another control tag or part: its items are others. */
export const OTHER_ITEMS = { area: [], picked: [], similar: null, cell: null } as const;

/** Go and see what passes filters, whatever narrowed the view before. */
export function showOnly(filters: Filters, part: Part, cell: Cell | null = null): void {
  const nothing = { area: [], picked: [], similar: null };
  changeView({ room: "review", part, filters, cell, ...nothing });
}
