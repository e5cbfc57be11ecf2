/** Something that is fetched: under way, there, or failed with words for a person. */

import { effect, type Signal, signal } from "@preact/signals";
import { ApiError, isOutage } from "../api/client";
import { projectId } from "./route";
import { noteSignedOut } from "./session";

export type Loading<T> =
  | { state: "idle" }
  | { state: "loading"; before?: T }
  | { state: "ready"; value: T }
  | { state: "failed"; status: number; message: string; before?: T };

export interface Loader<T> {
  readonly value: Signal<Loading<T>>;
  /** Fetch; what an earlier call answers later is dropped. What was there stays meanwhile. */
  load(fetching: () => Promise<T>): Promise<void>;
  clear(): void;
}

export function loader<T>(): Loader<T> {
  const value = signal<Loading<T>>({ state: "idle" });
  let turn = 0;
  return {
    value,
    async load(fetching) {
      const mine = ++turn;
      const before = current(value.peek()) ?? undefined;
      value.value = before === undefined ? { state: "loading" } : { state: "loading", before };
      try {
        const found = await fetching();
        if (mine === turn) value.value = { state: "ready", value: found };
      } catch (error) {
        noteSignedOut(error);
        if (mine !== turn) return;
        const status = error instanceof ApiError ? error.status : 0;
        // What is refused or gone is not shown any longer; an outage takes nothing away.
        const kept = isOutage(error) ? before : undefined;
        const message = (error as Error).message;
        value.value = { state: "failed", status, message, ...(kept && { before: kept }) };
      }
    },
    clear() {
      turn++;
      value.value = { state: "idle" };
    },
  };
}

/** A loader of something of the open project: that of another one is not shown meanwhile. */
export function projectLoader<T>(): Loader<T> {
  const made = loader<T>();
  effect(() => {
    void projectId.value;
    made.clear();
  });
  return made;
}

/** What is there, also while it is fetched anew, and when that failed for want of a server. */
export function current<T>(loading: Loading<T>): T | null {
  if (loading.state === "ready") return loading.value;
  return loading.state === "idle" ? null : (loading.before ?? null);
}
