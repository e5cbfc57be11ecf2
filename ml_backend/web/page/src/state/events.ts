/** What the server says by itself: progress of runs and actions, and that points changed. */

import { effect, signal } from "@preact/signals";
import * as client from "../api/client";
import type { ActionState, Run } from "../api/contract";
import { noteAction } from "./actions";
import { refreshDetails, tryAgain } from "./details";
import { fetchPointsAgain } from "./project";
import { projectId } from "./route";
import { liveRuns, noteRun } from "./runs";
import { noteSignedOut, session } from "./session";

export const connected = signal(true);

const SETTLE_MS = 600;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Grows when something that is listed may have changed: batches, actions. */
export const news = signal(0);

/** Grows when an action has ended: what was counted before is out of date. */
export const acted = signal(0);

/** Many changes in a row are one fetch. */
function changed(): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    refreshDetails();
    fetchPointsAgain();
    news.value++;
  }, SETTLE_MS);
}

const visible = signal(document.visibilityState === "visible");
document.addEventListener("visibilitychange", () => {
  visible.value = document.visibilityState === "visible";
});

/** The project that was fetched and not listened to: of what happened since, nothing was heard. */
let heard: number | null = null;

effect(() => {
  void projectId.value;
  liveRuns.value = new Map();
  heard = null;
});

effect(() => {
  const id = projectId.value;
  // What is fetched before it is seen for the first time may be old by then.
  if (!visible.value) heard = id;
  // A browser has six connections to a host, for all of its tabs.
  if (id === null || !session.value || !visible.value) return;
  return listen(id);
});

const FIRST_WAIT_MS = 1000;
const MOST_WAIT_MS = 60_000;

/** Hear of a project until the function that this returns is called. */
function listen(id: number): () => void {
  let source: EventSource | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let over = false;
  let wait = FIRST_WAIT_MS;
  const open = () => {
    const made = hear(id);
    source = made;
    made.onopen = () => {
      wait = FIRST_WAIT_MS;
      connected.value = true;
      if (heard === id) {
        // Only the newest runs are told anew: others have ended since, or the list knows them.
        liveRuns.value = new Map();
        tryAgain();
        changed();
      }
      heard = id;
    };
    made.onerror = () => {
      connected.value = false;
      heard = id;
      // A browser goes on by itself, but not after an answer that is a refusal.
      if (made.readyState !== EventSource.CLOSED) return;
      retry = setTimeout(() => void again(), wait * (0.75 + Math.random() / 2));
      wait = Math.min(2 * wait, MOST_WAIT_MS);
    };
  };
  const again = async () => {
    try {
      // Who was signed out is asked to sign in: the refusal itself cannot be read.
      await client.session();
    } catch (error) {
      noteSignedOut(error);
    }
    if (!over) open();
  };
  open();
  return () => {
    over = true;
    clearTimeout(retry);
    source?.close();
    connected.value = true;
  };
}

function hear(id: number): EventSource {
  const source = new EventSource(client.eventsAddress(id));
  source.addEventListener("run", (event) => {
    noteRun(JSON.parse(event.data) as Run);
  });
  source.addEventListener("action", (event) => {
    const action = JSON.parse(event.data) as ActionState;
    if (!noteAction(action) || action.ended === 0) return;
    acted.value++;
    changed();
  });
  source.addEventListener("points", changed);
  return source;
}
