/** Human label against model label; a click on a cell shows its items. */

import type { Overview } from "../api/contract";
import { NO_FILTERS, withWords } from "../core/filters";
import { count } from "../core/format";
import { control } from "../state/project";
import { changeView } from "../state/route";

const BACKGROUND = "background";
/** Percent of the colour; more would make the numbers hard to read. */
/** Longer names of columns are turned, so that cells stay small. */
const UPRIGHT = 4;
const STRONGEST = 45;

/** Show what a cell counts. */
function show(human: string, model: string): void {
  const word = (label: string) => [label === BACKGROUND ? "" : label];
  const regions = control.peek()?.parts.includes("regions") ?? false;
  if (regions && human === BACKGROUND) {
    // No person drew these regions, so they are no points of their own: their inputs are shown.
    const filters = { ...NO_FILTERS, falsePositives: 1 };
    changeView({ room: "review", filters, area: [], part: "inputs" });
    return;
  }
  const filters = withWords(withWords(NO_FILTERS, "label", word(human)), "predicted", word(model));
  changeView({ room: "review", filters, area: [], part: regions ? "regions" : "inputs" });
}

export function Confusion({ confusion }: { confusion: Overview["confusion"] }) {
  const { labels, counts } = confusion;
  const wrong = counts.flatMap((row, i) => row.filter((_, j) => i !== j));
  const most = Math.max(1, ...wrong);
  if (labels.length === 0) return <p class="hint">Nothing has been compared yet.</p>;
  return (
    <div class="table-room">
      <table class="confusion">
        <caption>
          Rows: human label. Columns: model label. Numbers beside the diagonal differ.
        </caption>
        <thead>
          <tr>
            <td />
            {labels.map((label) => (
              <th key={label} scope="col">
                <span class={label.length > UPRIGHT ? "cut sideways" : "cut"}>{label}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {labels.map((human, i) => (
            <tr key={human}>
              <th scope="row">
                <span class="cut">{human}</span>
              </th>
              {labels.map((model, j) => {
                const n = counts[i]?.[j] ?? 0;
                const strength = i === j ? 0 : Math.sqrt(n / most);
                return (
                  <td key={model} class={i === j ? "cell-right" : "cell-wrong"}>
                    {n > 0 && (
                      <button
                        type="button"
                        style={{ "--strength": `${Math.round(strength * STRONGEST)}%` }}
                        aria-label={`Human ${human}, model ${model}: ${count(n)}. Show them.`}
                        onClick={() => show(human, model)}
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
