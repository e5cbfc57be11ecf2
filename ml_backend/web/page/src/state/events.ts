/** What the server says by itself: progress of runs and actions, and that points changed. */

import { effect, signal } from "@preact/signals";
import { eventsAddress } from "../api/client";
import type { ActionState, Run } from "../api/contract";
import { noteAction } from "./actions";
import { refreshDetails } from "./details";
import { fetchPointsAgain } from "./project";
import { projectId } from "./route";
import { liveRuns, noteRun } from "./runs";
import { session } from "./session";

export const connected = signal(true);

const SETTLE_MS = 600;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Many changes in a row are one fetch. */
function changed(): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    refreshDetails();
    fetchPointsAgain();
  }, SETTLE_MS);
}

const visible = signal(document.visibilityState === "visible");
document.addEventListener("visibilitychange", () => {
  visible.value = document.visibilityState === "visible";
});

/** The project that was listened to before: of what happened since, nothing was heard. */
let heard: number | null = null;

effect(() => {
  void projectId.value;
  liveRuns.value = new Map();
  heard = null;
});

effect(() => {
  const id = projectId.value;
  // A browser has six connections to a host, for all of its tabs.
  if (id === null || !session.value || !visible.value) return;
  const source = new EventSource(eventsAddress(id));
  source.onopen = () => {
    connected.value = true;
    if (heard === id) changed();
    heard = id;
  };
  source.onerror = () => {
    connected.value = false;
  };
  source.addEventListener("run", (event) => {
    noteRun(JSON.parse(event.data) as Run);
  });
  source.addEventListener("action", (event) => {
    const action = JSON.parse(event.data) as ActionState;
    if (noteAction(action) && action.ended > 0) changed();
  });
  source.addEventListener("points", changed);
  return () => source.close();
});
