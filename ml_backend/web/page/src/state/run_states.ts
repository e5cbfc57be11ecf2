/** How runs stand. */

import { computed } from "@preact/signals";
import type { Run } from "../api/contract";
import { liveRuns } from "./runs";

const ENDED = ["done", "failed", "cancelled", "superseded"];

export const isUnderWay = ({ state }: Run): boolean => !ENDED.includes(state);

/** The newest run that events tell of. */
export const newestRun = computed<Run | null>(
  () => [...liveRuns.value.values()].toSorted((a, b) => b.started - a.started)[0] ?? null,
);
