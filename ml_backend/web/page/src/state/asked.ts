/** What of a view only the server can answer: a search, what looks alike, a cell's items. */

import { computed, effect, type ReadonlySignal } from "@preact/signals";
import * as client from "../api/client";
import type { Cell } from "../core/address";
import { keyOf } from "../core/selection";
import { controlName, round } from "./control";
import { current, type Loading, loader } from "./loading";
import { projectId, view } from "./route";
import { session } from "./session";

const SIMILAR = 60;
const SEARCH_PAUSE_MS = 250;

/** "none": nothing is asked. What is not answered lets nothing be acted on. */
export type Stand = "none" | "waiting" | "failed" | "answered";

interface Asked<T> {
  readonly value: ReadonlySignal<Loading<T>>;
  /** The answer to what is asked now. */
  readonly answer: ReadonlySignal<T | null>;
  readonly stand: ReadonlySignal<Stand>;
  again(): void;
}

/** Ask whenever the question is another one: what was answered to another is no answer. */
function asked<T>(
  question: ReadonlySignal<string | null>,
  answering: (question: string) => Promise<T>,
  pauseMs = 0,
): Asked<T> {
  const made = loader<T>();
  const again = () => {
    const now = question.peek();
    if (now !== null) void made.load(() => answering(now));
  };
  effect(() => {
    const now = question.value;
    made.clear();
    if (now === null) return;
    const timer = setTimeout(again, pauseMs);
    return () => clearTimeout(timer);
  });
  const answer = computed(() => (question.value === null ? null : current(made.value.value)));
  const stand = computed<Stand>(() => {
    if (question.value === null) return "none";
    if (answer.value !== null) return "answered";
    return made.value.value.state === "failed" ? "failed" : "waiting";
  });
  return { value: made.value, answer, stand, again };
}

// Who signs in asks anew; the other questions wait for the project's tags by themselves.
const searchedFor = computed(() => {
  const [id, text] = [projectId.value, view.value.filters.search];
  return id === null || !session.value || text === "" ? null : JSON.stringify([id, text]);
});

/** Tasks that a text was found in. */
export const found = asked(
  searchedFor,
  async (question) => {
    const [id, text] = JSON.parse(question) as [number, string];
    const { tasks, more } = await client.search(id, text);
    return { tasks: new Set(tasks), more };
  },
  SEARCH_PAUSE_MS,
);

const similarTo = computed(() => {
  const [id, name, item] = [projectId.value, controlName.value, view.value.similar];
  return id === null || name === null || item === null ? null : JSON.stringify([id, name, ...item]);
});

/** Distances of similar rows, nearest first, by "task.region". */
export const similar = asked<ReadonlyMap<string, number>>(similarTo, async (question) => {
  const [id, name, task, region] = JSON.parse(question) as [number, string, number, number];
  const near = await client.similar(id, name, task, region, SIMILAR);
  const distances = near.map((one) => [`${one.task}.${one.region}`, one.distance] as const);
  return new Map([[`${task}.${region}`, 0], ...distances]);
});

const askedCell = computed(() => {
  const [id, name, cell] = [projectId.value, controlName.value, view.value.cell];
  return id === null || name === null || cell === null ? null : JSON.stringify([id, name, cell]);
});

/** What a cell of the confusion matrix counts: how many, and their items as keys. */
export const cell = asked(askedCell, async (question) => {
  const [id, name, wanted] = JSON.parse(question) as [number, string, Cell];
  const { tasks, regions } = await client.cell(id, name, wanted);
  return { count: tasks.length, keys: new Set(tasks.map((task, i) => keyOf(task, regions[i]))) };
});

interface Unanswered {
  failed: boolean;
  title: string;
  /** Why it failed. */
  message: string;
  again: () => void;
}

const QUESTIONS = [
  { asked: found, waiting: "Searching…", failed: "The search failed" },
  { asked: similar, waiting: "Looking for similar items…", failed: "No similar items were found" },
  { asked: cell, waiting: "Looking for what the cell counts…", failed: "The cell was not found" },
];

// Whatever changed the points may have changed what was answered of them.
effect(() => {
  if (round.value > 0) for (const { asked } of QUESTIONS) asked.again();
});

/** The first question that has no answer: what is shown meanwhile is not what was asked for. */
export const unanswered = computed<Unanswered | null>(() => {
  const open = QUESTIONS.find(({ asked: { stand } }) =>
    ["waiting", "failed"].includes(stand.value),
  );
  if (!open) return null;
  const now = open.asked.value.value;
  const failed = now.state === "failed";
  return {
    failed,
    title: failed ? open.failed : open.waiting,
    message: failed ? now.message : "",
    again: open.asked.again,
  };
});
