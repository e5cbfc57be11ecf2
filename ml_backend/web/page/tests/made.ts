/** Points made by hand, through the same bytes as the server's. */

import {
  columnFromArray,
  dictionary,
  float32,
  float64,
  int16,
  int32,
  tableFromColumns,
  tableToIPC,
  uint8,
  utf8,
} from "@uwdata/flechette";
import { type Points, readPoints } from "../src/core/points";

export interface Row {
  task: number;
  region?: number;
  x?: number;
  y?: number;
  label?: string;
  predicted?: string;
  kind?: string;
  flag?: string;
  annotator?: string;
  tags?: string;
  confidence?: number;
  iou?: number;
  priority?: number;
  updated?: number;
  falsePositives?: number;
}

export function streamOf(rows: readonly Row[], plane = ""): ArrayBuffer {
  const words = (read: (row: Row) => string | undefined) =>
    columnFromArray(
      rows.map((row) => read(row) ?? ""),
      dictionary(utf8(), int16()),
    );
  const amount = (read: (row: Row) => number | undefined) =>
    columnFromArray(
      rows.map((row) => read(row) ?? Number.NaN),
      float32(),
    );
  const whole = (values: number[]) => columnFromArray(values, int32());
  const table = tableFromColumns({
    task: whole(rows.map((row) => row.task)),
    region: whole(rows.map((row) => row.region ?? -1)),
    x: amount((row) => row.x ?? 0),
    y: amount((row) => row.y ?? 0),
    label: words((row) => row.label),
    predicted: words((row) => row.predicted),
    kind: words((row) => row.kind),
    flag: words((row) => row.flag),
    annotator: words((row) => row.annotator),
    tags: words((row) => row.tags),
    confidence: amount((row) => row.confidence),
    iou: amount((row) => row.iou),
    priority: amount((row) => row.priority),
    outlier: amount(() => undefined),
    updated: columnFromArray(
      rows.map((row) => row.updated ?? Number.NaN),
      float64(),
    ),
    false_positives: columnFromArray(
      rows.map((row) => row.falsePositives ?? 0),
      uint8(),
    ),
    false_negatives: columnFromArray(
      rows.map(() => 0),
      uint8(),
    ),
  });
  table.schema.metadata = new Map([["plane", plane]]);
  const bytes = tableToIPC(table, { format: "stream" }) as Uint8Array;
  return bytes.slice().buffer as ArrayBuffer;
}

export function pointsOf(rows: readonly Row[]): Points {
  return readPoints(streamOf(rows));
}
