/** The address bar as a signal: which project, and which view of it. */

import { computed, signal } from "@preact/signals";
import type { Part } from "../api/contract";
import { type Cell, readView, type View, writeView } from "../core/address";
import type { Filters } from "../core/filters";

const BASE = "/page/";

const place = signal({ path: location.pathname, search: location.search });

addEventListener("popstate", () => {
  place.value = { path: location.pathname, search: location.search };
});

/** The project of the address, null on the list of projects. */
export const projectId = computed<number | null>(() => {
  const found = /^\/page\/projects\/(\d+)/.exec(place.value.path);
  return found ? Number(found[1]) : null;
});

export const view = computed<View>(() => readView(place.value.search));

export const projectPath = (id: number): string => `${BASE}projects/${id}`;

function go(path: string, query: string, how: "push" | "replace"): void {
  const search = query ? `?${query}` : "";
  if (path === place.value.path && search === place.value.search) return;
  if (how === "push") history.pushState(null, "", path + search);
  else history.replaceState(null, "", path + search);
  place.value = { path, search };
}

export function openProject(id: number | null, query = ""): void {
  go(id === null ? BASE : projectPath(id), query, "push");
}

/** Change the view. What a person may want to go back from is pushed; the rest replaces. */
export function changeView(change: Partial<View>, how: "push" | "replace" = "push"): void {
  go(place.value.path, writeView({ ...view.value, ...change }), how);
}

/** Go and see what passes filters, whatever narrowed the view before. */
export function showOnly(
  filters: Filters,
  part: Part = view.peek().part,
  cell: Cell | null = null,
): void {
  const nothing = { area: [], picked: [], similar: null };
  changeView({ room: "review", part, filters, cell, ...nothing });
}
