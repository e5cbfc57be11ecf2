/** How well the model does, class by class; a click on a class shows its items. */

import { useState } from "preact/hooks";
import type { ClassScore } from "../api/contract";
import { NO_FILTERS, withWords } from "../core/filters";
import { count, score } from "../core/format";
import { showOnly } from "../state/route";

type Key = keyof ClassScore;

const COLUMNS: readonly { key: Key; title: string }[] = [
  { key: "label", title: "Class" },
  { key: "precision", title: "Precision" },
  { key: "recall", title: "Recall" },
  { key: "f1", title: "F1" },
  { key: "ap", title: "AP" },
  { key: "support", title: "Labels" },
];

function sorted(classes: readonly ClassScore[], key: Key, descending: boolean): ClassScore[] {
  const sign = descending ? -1 : 1;
  return classes.toSorted((a, b) => {
    const [x, y] = [a[key], b[key]];
    // What is unknown goes last, whichever way it is sorted.
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    if (typeof x === "string") return sign * x.localeCompare(String(y), undefined, ORDER);
    return sign * (x - Number(y));
  });
}

const ORDER = { numeric: true } as const;

export function ClassTable({ classes }: { classes: readonly ClassScore[] }) {
  const [key, setKey] = useState<Key>("support");
  const [descending, setDescending] = useState(true);
  // Counted is each region's label, an input has its most frequent one; where a tag has no regions,
  // its inputs are shown.
  const show = (label: string) => showOnly(withWords(NO_FILTERS, "label", [label]), "regions");
  return (
    <div class="table-room">
      <table class="table">
        <thead>
          <tr>
            {COLUMNS.map((column) => {
              const now = column.key === key;
              return (
                <th
                  key={column.key}
                  scope="col"
                  aria-sort={now ? (descending ? "descending" : "ascending") : "none"}
                >
                  <button
                    type="button"
                    onClick={() => {
                      setDescending(now ? !descending : column.key !== "label");
                      setKey(column.key);
                    }}
                  >
                    {column.title} {now && (descending ? "↓" : "↑")}
                  </button>
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {sorted(classes, key, descending).map((one) => (
            <tr key={one.label}>
              <th scope="row">
                <button type="button" class="link" onClick={() => show(one.label)}>
                  {one.label}
                </button>
              </th>
              {([one.precision, one.recall, one.f1, one.ap] as const).map((value, at) => (
                <td key={COLUMNS[at + 1].key}>
                  <span class="meter" aria-hidden="true">
                    <span style={{ width: `${(value ?? 0) * 100}%` }} />
                  </span>
                  {score(value)}
                </td>
              ))}
              <td>{count(one.support)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
