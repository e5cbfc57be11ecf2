/** Human label against model label; a click on a cell shows its items. */

import type { Overview } from "../api/contract";
import type { Cell } from "../core/address";
import { mostConfused } from "../core/confusion";
import { NO_FILTERS } from "../core/filters";
import { count } from "../core/format";
import { showOnly } from "../state/route";

/** Longer names of columns are turned, so that cells stay small. */
const UPRIGHT = 4;
/** Percent of the colour; more would make the numbers hard to read. */
const STRONGEST = 45;
/** Classes that are drawn: the cells of more would be too many for a browser, and for an eye. */
const MOST_CLASSES = 60;

/** Show what a cell counts. */
function show(cell: Cell): void {
  // Regions that no person drew are no points of their own: their inputs are shown.
  showOnly(NO_FILTERS, cell.human === null ? "inputs" : "regions", cell);
}

interface ConfusionProps {
  confusion: Overview["confusion"];
  /** What it was counted at. */
  at: Pick<Cell, "iou" | "confidence">;
}

export function Confusion({ confusion, at }: ConfusionProps) {
  const { labels, counts } = confusion;
  // The last one stands for nothing there, whatever labels are called.
  const classOf = (place: number) => (place === labels.length - 1 ? null : labels[place]);
  const { places, most } = mostConfused(counts, MOST_CLASSES);
  const all = labels.length - 1;
  if (labels.length === 0) return <p class="hint">Nothing has been compared yet.</p>;
  return (
    <div class="table-room">
      <table class="confusion">
        <caption>
          Rows: human label. Columns: model label. Numbers beside the diagonal differ.
          {all > MOST_CLASSES &&
            ` Of ${count(all)} classes the ${MOST_CLASSES} that are mixed up most are shown.`}
        </caption>
        <thead>
          <tr>
            <td />
            {places.map((j) => (
              <th key={j} scope="col">
                <span class={labels[j].length > UPRIGHT ? "cut sideways" : "cut"}>{labels[j]}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {places.map((i) => (
            <tr key={i}>
              <th scope="row">
                <span class="cut">{labels[i]}</span>
              </th>
              {places.map((j) => {
                const n = counts[i][j];
                const strength = i === j ? 0 : Math.sqrt(n / most);
                return (
                  <td key={j} class={i === j ? "cell-right" : "cell-wrong"}>
                    {n > 0 && (
                      <button
                        type="button"
                        style={{ "--strength": `${Math.round(strength * STRONGEST)}%` }}
                        aria-label={`Human ${labels[i]}, model ${labels[j]}: ${count(n)}. Show them.`}
                        onClick={() => show({ ...at, human: classOf(i), model: classOf(j) })}
                      >
                        {count(n)}
                      </button>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
