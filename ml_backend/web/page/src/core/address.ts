/** A view of a project as the query of an address, and back; what cannot be read is left out. */

import type { Part } from "../api/contract";
import { AMOUNT_FIELDS, type AmountField, type Field, WORD_FIELDS, type WordField } from "./fields";
import { type Filters, NO_FILTERS, type Range } from "./filters";
import { type Area, type Item, PRECISION, type Step } from "./selection";
import type { Sort, SortKey } from "./sorting";
import type { Ring } from "./space";

export type Room = "review" | "overview" | "activity";
export type Layout = "both" | "map" | "grid";

/** A cell of the confusion matrix, counted at an IoU and a confidence. */
export interface Cell {
  /** People's class and the model's, null where there is nothing. */
  human: string | null;
  model: string | null;
  iou: number;
  confidence: number;
}

export interface View {
  room: Room;
  control: string;
  part: Part;
  layout: Layout;
  color: Field;
  sort: Sort;
  filters: Filters;
  area: Area;
  /** The plane that the area was drawn on: places in another one mean other points. */
  plane: string;
  picked: readonly Item[];
  /** "More like this". */
  similar: Item | null;
  /** Only what a cell counts. */
  cell: Cell | null;
  /** Actions leave out what needs review. */
  excludeFlagged: boolean;
}

export const FIRST_VIEW: View = {
  room: "review",
  control: "",
  part: "inputs",
  layout: "both",
  color: "label",
  sort: { key: "priority", descending: true },
  filters: NO_FILTERS,
  area: [],
  plane: "",
  picked: [],
  similar: null,
  cell: null,
  excludeFlagged: false,
};

const ROOMS: readonly Room[] = ["review", "overview", "activity"];
const LAYOUTS: readonly Layout[] = ["both", "map", "grid"];
const SORTS: readonly SortKey[] = [...AMOUNT_FIELDS, "updated", "task"];
const FIELDS: readonly Field[] = [...WORD_FIELDS, ...AMOUNT_FIELDS];
// Characters that a query need not escape.
const BETWEEN_STEPS = "*";
const BETWEEN_PARTS = "_";

export function writeView(view: View): string {
  const query = new URLSearchParams();
  const { filters, sort } = view;
  const put = (key: string, value: string, usual: string) => {
    if (value !== usual) query.set(key, value);
  };
  put("room", view.room, FIRST_VIEW.room);
  put("control", view.control, "");
  put("part", view.part, FIRST_VIEW.part);
  put("layout", view.layout, FIRST_VIEW.layout);
  put("color", view.color, FIRST_VIEW.color);
  put("sort", `${sort.descending ? "-" : ""}${sort.key}`, "-priority");
  for (const field of WORD_FIELDS) {
    for (const word of filters.words[field] ?? []) query.append(field, word);
  }
  for (const field of AMOUNT_FIELDS) {
    const range = filters.amounts[field];
    if (range) query.set(field, range.join(BETWEEN_PARTS));
  }
  if (filters.updated) query.set("updated", filters.updated.map(dateText).join(BETWEEN_PARTS));
  put("fp", String(filters.falsePositives), "0");
  put("fn", String(filters.falseNegatives), "0");
  put("q", filters.search, "");
  put("amid", filters.amid ? "1" : "", "");
  put("area", view.area.map(stepText).join(BETWEEN_STEPS), "");
  put("plane", view.area.length > 0 ? view.plane : "", "");
  put("picked", view.picked.map(itemText).join(BETWEEN_PARTS), "");
  put("like", view.similar ? itemText(view.similar) : "", "");
  if (view.cell) writeCell(query, view.cell);
  put("exclude", view.excludeFlagged ? "flagged" : "", "");
  return query.toString();
}

export function readView(search: string): View {
  const query = new URLSearchParams(search);
  const one = <T extends string>(key: string, known: readonly T[], usual: T): T =>
    known.find((value) => value === query.get(key)) ?? usual;
  const similar = query.get("like");
  return {
    room: one("room", ROOMS, FIRST_VIEW.room),
    control: query.get("control") ?? "",
    part: one<Part>("part", ["inputs", "regions"], FIRST_VIEW.part),
    layout: one("layout", LAYOUTS, FIRST_VIEW.layout),
    color: one("color", FIELDS, FIRST_VIEW.color),
    sort: readSort(query.get("sort")),
    filters: readFilters(query),
    area: (query.get("area") ?? "").split(BETWEEN_STEPS).flatMap((text) => readStep(text) ?? []),
    plane: query.get("plane") ?? "",
    picked: (query.get("picked") ?? "")
      .split(BETWEEN_PARTS)
      .flatMap((text) => asList(readItem(text))),
    similar: similar === null ? null : readItem(similar),
    cell: readCell(query),
    excludeFlagged: query.get("exclude") === "flagged",
  };
}

// A class that is not named is none: a label may have any name.
function writeCell(query: URLSearchParams, { human, model, iou, confidence }: Cell): void {
  query.set("cell", [iou, confidence].join(BETWEEN_PARTS));
  if (human !== null) query.set("human", human);
  if (model !== null) query.set("model", model);
}

function readCell(query: URLSearchParams): Cell | null {
  const at = readRange(query.get("cell"), Number);
  if (!at || at[0] <= 0 || Math.min(...at) < 0 || Math.max(...at) > 1) return null;
  const [iou, confidence] = at;
  return { human: query.get("human"), model: query.get("model"), iou, confidence };
}

function readFilters(query: URLSearchParams): Filters {
  const words: Partial<Record<WordField, string[]>> = {};
  for (const field of WORD_FIELDS) if (query.has(field)) words[field] = query.getAll(field);
  const amounts: Partial<Record<AmountField, Range>> = {};
  for (const field of AMOUNT_FIELDS) {
    const range = readRange(query.get(field), Number);
    if (range) amounts[field] = range;
  }
  return {
    words,
    amounts,
    updated: readRange(query.get("updated"), dateOf),
    falsePositives: readCount(query.get("fp")),
    falseNegatives: readCount(query.get("fn")),
    search: query.get("q") ?? "",
    amid: query.get("amid") === "1",
  };
}

function readSort(text: string | null): Sort {
  const key = SORTS.find((known) => known === text?.replace(/^-/, ""));
  return key ? { key, descending: text?.startsWith("-") ?? false } : FIRST_VIEW.sort;
}

function readRange(text: string | null, read: (part: string) => number): Range | null {
  const ends = (text ?? "").split(BETWEEN_PARTS).map(read);
  return text && ends.length === 2 && ends.every(Number.isFinite) ? [ends[0], ends[1]] : null;
}

function readCount(text: string | null): number {
  const count = Number(text ?? 0);
  return Number.isInteger(count) && count > 0 ? count : 0;
}

const dateText = (seconds: number): string => String(Math.round(seconds));
const dateOf = (text: string): number => (text === "" ? Number.NaN : Number(text));

function itemText([task, region]: Item): string {
  return region < 0 ? `${task}` : `${task}.${region}`;
}

function readItem(text: string): Item | null {
  if (!/^\d+(\.\d+)?$/.test(text)) return null;
  const [task, region] = text.split(".").map(Number);
  return [task, region ?? -1];
}

// A step begins with a letter: (a)dd or (s)ubtract.
function stepText({ how, ring }: Step): string {
  const places = ring.map((value) => Math.round(value * PRECISION));
  return (how === "add" ? "a" : "s") + places.join(BETWEEN_PARTS);
}

function readStep(text: string): Step | null {
  if (!/^[as][-\d_]+$/.test(text)) return null;
  const ring: Ring = text
    .slice(1)
    .split(BETWEEN_PARTS)
    .map((part) => Number(part) / PRECISION);
  if (ring.length < 6 || ring.length % 2 !== 0 || !ring.every(Number.isFinite)) return null;
  return { how: text[0] === "a" ? "add" : "subtract", ring };
}

function asList<T>(value: T | null): T[] {
  return value === null ? [] : [value];
}
