/** Small drawings of numbers; each has a table of them beside it for those who do not see it. */

import type { Histogram, Overview } from "../api/contract";
import { count, when } from "../core/format";
import { TableHead } from "./table";

const edgeText = (edge: number | undefined) => edge?.toFixed(2) ?? "";

export function HistogramChart({ title, histogram }: { title: string; histogram: Histogram }) {
  const { counts, edges } = histogram;
  const most = Math.max(1, ...counts);
  const total = counts.reduce((sum, n) => sum + n, 0);
  const width = 100 / Math.max(counts.length, 1);
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <svg
        viewBox="0 0 100 40"
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title}: ${count(total)} values in ${counts.length} bins, at most ${count(most)}`}
      >
        {counts.map((n, bin) => {
          const height = (n / most) * 40;
          return (
            <rect
              key={edges[bin]}
              class="bar"
              x={bin * width + width * 0.08}
              y={40 - height}
              width={width * 0.84}
              height={height}
            >
              <title>{`${edgeText(edges[bin])} to ${edgeText(edges[bin + 1])}: ${count(n)}`}</title>
            </rect>
          );
        })}
      </svg>
      <Numbers
        of={title}
        titles={["From", "To", "Values"]}
        rows={counts.map((n, bin) => [edgeText(edges[bin]), edgeText(edges[bin + 1]), count(n)])}
      />
      <div class="chart-ends">
        <span>{edges[0]?.toFixed(1)}</span>
        <span>{edges.at(-1)?.toFixed(1)}</span>
      </div>
    </figure>
  );
}

export function BurnDown({ points }: { points: Overview["burn_down"] }) {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || points.length < 2) {
    return <p class="hint">Drawn once the queue has been worked on for a while.</p>;
  }
  const most = Math.max(1, ...points.map(({ open }) => open));
  const span = Math.max(last.time - first.time, 1);
  const places = points.map(
    ({ time, open }) => `${((time - first.time) / span) * 100} ${40 - (open / most) * 38}`,
  );
  return (
    <figure class="chart">
      <figcaption>Open in the queue</figcaption>
      <svg
        viewBox="0 0 100 40"
        preserveAspectRatio="none"
        role="img"
        aria-label={`Open tasks: ${count(first.open)} at first, ${count(last.open)} now`}
      >
        <path class="burn-area" d={`M0 40L${places.join("L")}L100 40Z`} />
        <path class="burn-line" d={`M${places.join("L")}`} />
      </svg>
      <Numbers
        of="Open in the queue"
        titles={["When", "Open"]}
        rows={points.map(({ time, open }) => [when(time), count(open)])}
      />
      <div class="chart-ends">
        <span>{when(first.time)}</span>
        <span>{count(last.open)} open</span>
      </div>
    </figure>
  );
}

interface NumbersProps {
  of: string;
  titles: readonly string[];
  /** The first cell of each says what the others are of. */
  rows: readonly (readonly string[])[];
}

function Numbers({ of, titles, rows }: NumbersProps) {
  return (
    <div class="hidden">
      <table>
        <caption>{of}</caption>
        <TableHead titles={titles} />
        <tbody>
          {rows.map(([head, ...cells], row) => (
            <tr key={row}>
              <th scope="row">{head}</th>
              {cells.map((cell, place) => (
                <td key={titles[place + 1]}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
