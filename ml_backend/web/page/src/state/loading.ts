/** Something that is fetched: under way, there, or failed with words for a person. */

import { type Signal, signal } from "@preact/signals";
import { ApiError } from "../api/client";
import { noteSignedOut } from "./session";

export type Loading<T> =
  | { state: "idle" }
  | { state: "loading"; before?: T }
  | { state: "ready"; value: T }
  | { state: "failed"; status: number; message: string };

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
      const now = value.peek();
      const before = now.state === "ready" ? now.value : undefined;
      value.value = before === undefined ? { state: "loading" } : { state: "loading", before };
      try {
        const found = await fetching();
        if (mine === turn) value.value = { state: "ready", value: found };
      } catch (error) {
        noteSignedOut(error);
        if (mine !== turn) return;
        const status = error instanceof ApiError ? error.status : 0;
        value.value = { state: "failed", status, message: (error as Error).message };
      }
    },
    clear() {
      turn++;
      value.value = { state: "idle" };
    },
  };
}

/** What is there, also while it is fetched anew. */
export function current<T>(loading: Loading<T>): T | null {
  if (loading.state === "ready") return loading.value;
  return loading.state === "loading" ? (loading.before ?? null) : null;
}
