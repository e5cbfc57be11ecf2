/** The points of one control tag as columns, one row per input or region, by task. */

import { type Column, tableFromIPC } from "@uwdata/flechette";
import type { Shown } from "../api/contract";

/** Texts as numbers: row i says words[codes[i]]. */
export interface Words {
  codes: Uint32Array;
  words: readonly string[];
}

export interface Points {
  /** Number of rows. */
  length: number;
  /** Names the plane that they lie in, "" for none: laid out anew, it is another one. */
  plane: string;
  task: Int32Array;
  /** Index into the task's human regions, -1 for a whole input. */
  region: Int32Array;
  /** In [-1, 1], NaN where the row has no place in the plane. */
  x: Float32Array;
  y: Float32Array;
  label: Words;
  predicted: Words;
  kind: Words;
  flag: Words;
  /** All that a row has are joined by a line feed, of these two. */
  annotator: Words;
  tags: Words;
  /** In [0, 1], NaN for unknown. */
  confidence: Float32Array;
  iou: Float32Array;
  priority: Float32Array;
  outlier: Float32Array;
  /** Seconds since 1970, NaN for unknown. */
  updated: Float64Array;
  /** Counts per task. */
  falsePositives: Uint8Array;
  falseNegatives: Uint8Array;
}

/** Read an Arrow IPC stream. Throws an Error that names the column that is missing. */
export function readPoints(stream: ArrayBuffer): Points {
  const table = tableFromIPC(new Uint8Array(stream));
  const column = (name: string): Column<unknown> => {
    const found = table.getChild(name);
    if (!found) throw new Error(`The points have no column "${name}". Reload the page.`);
    return found as Column<unknown>;
  };
  const numbers = <T>(name: string) => column(name).toArray() as T;
  const words = (name: string) => readWords(column(name));
  return {
    length: table.numRows,
    plane: table.schema.metadata?.get("plane") ?? "",
    task: numbers<Int32Array>("task"),
    region: numbers<Int32Array>("region"),
    x: numbers<Float32Array>("x"),
    y: numbers<Float32Array>("y"),
    label: words("label"),
    predicted: words("predicted"),
    kind: words("kind"),
    flag: words("flag"),
    annotator: words("annotator"),
    tags: words("tags"),
    confidence: numbers<Float32Array>("confidence"),
    iou: numbers<Float32Array>("iou"),
    priority: numbers<Float32Array>("priority"),
    outlier: numbers<Float32Array>("outlier"),
    updated: numbers<Float64Array>("updated"),
    falsePositives: numbers<Uint8Array>("false_positives"),
    falseNegatives: numbers<Uint8Array>("false_negatives"),
  };
}

interface DictionaryLike {
  length: number;
  values: ArrayLike<number>;
  cache?: readonly (string | null)[];
}

/** Batches of a stream may each bring their own dictionary: their codes are brought to one. */
function readWords(column: Column<unknown>): Words {
  const codes = new Uint32Array(column.length);
  const words: string[] = [];
  const known = new Map<string, number>();
  const codeOf = (word: string): number => {
    const code = known.get(word);
    if (code !== undefined) return code;
    known.set(word, words.length);
    return words.push(word) - 1;
  };
  let row = 0;
  for (const batch of column.data as unknown as DictionaryLike[]) {
    const into = Array.from(batch.cache ?? [], (word) => codeOf(word ?? ""));
    for (let i = 0; i < batch.length; i++) codes[row++] = into[batch.values[i]];
  }
  return { codes, words };
}

/** The distinct tasks of some rows. */
export function tasksOf({ task }: Points, rows: Uint32Array): Int32Array {
  const found = new Int32Array(rows.length);
  let n = 0;
  for (const row of rows) {
    // Regions of a task follow each other.
    if (n === 0 || task[row] !== found[n - 1]) found[n++] = task[row];
  }
  return found.subarray(0, n);
}

/** As what the tasks of some regions are seen, by which their places hold. */
export function shownOf({ task, updated }: Points, rows: Uint32Array): Shown[] {
  const found: Shown[] = [];
  for (const row of rows) {
    const of = task[row];
    if (found.at(-1)?.[0] === of) continue;
    let first = row;
    let end = row + 1;
    while (task[first - 1] === of) first--;
    while (task[end] === of) end++;
    found.push([of, updated[row] || 0, end - first]);
  }
  return found;
}

/** Fill a column. Its own `from` takes ten times as long: it makes a list of the numbers first. */
export function filled<
  T extends Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array,
>(column: T, value: (row: number) => number): T {
  for (let row = 0; row < column.length; row++) column[row] = value(row);
  return column;
}
