/** When tasks were changed last: how many on which days, and between which days they are shown. */

import { countFrom } from "../core/bins";
import { type DayIndex, dayOf, fromDay, lastDays, toDay } from "../core/days";
import type { Range } from "../core/filters";
import { answer } from "../state/project";
import { changeView, view } from "../state/route";
import { Bars, Preset, Unknown } from "./bars";
import { Facet } from "./facet";

const LAST = [
  { days: 1, title: "Today" },
  { days: 7, title: "7 days" },
  { days: 30, title: "30 days" },
] as const;
const MOST_BARS = 30;

export function DateFacet() {
  const { filters } = view.value;
  const { updated } = filters;
  const set = (range: Range | null) =>
    changeView({ filters: { ...view.peek().filters, updated: range } }, "replace");
  return (
    <Facet title="Last changed" asks={updated !== null} clear={() => set(null)} open={false}>
      <Days value={updated} change={set} />
      <div class="dates">
        <label>
          From
          <input
            type="date"
            class="input input-small"
            value={dayOf(updated?.[0] ?? 0)}
            onChange={(event) => set(fromDay(updated, event.currentTarget.value))}
          />
        </label>
        <label>
          To
          <input
            type="date"
            class="input input-small"
            value={dayOf(updated?.[1] ?? 0)}
            onChange={(event) => set(toDay(updated, event.currentTarget.value))}
          />
        </label>
      </div>
    </Facet>
  );
}

interface DaysProps {
  value: Range | null;
  change: (range: Range | null) => void;
}

function Days({ value, change }: DaysProps) {
  const now = answer.value;
  if (!now) return null;
  const { counts, unknown } = now.counts.updated;
  const { days } = now.data.counting;
  return (
    <>
      {counts.length > 0 && <DayBars counts={counts} days={days} value={value} />}
      <div class="range-ends">
        <span>{dayOf(days.starts[0] ?? 0)}</span>
        <Unknown n={unknown} />
        <span>{dayOf(days.starts.at(-1) ?? 0)}</span>
      </div>
      <div class="presets">
        {LAST.map(({ days: several, title }) => {
          const range = lastDays(several);
          const first = days.starts.findIndex((start) => start >= range[0]);
          return (
            <Preset
              key={several}
              of="Changed:"
              says={title}
              n={first < 0 ? 0 : countFrom(counts, first)}
              isOn={value?.[0] === range[0] && value[1] === range[1]}
              set={(isOn) => change(isOn ? range : null)}
            />
          );
        })}
      </div>
    </>
  );
}

interface DayBarsProps {
  counts: Uint32Array;
  days: DayIndex;
  value: Range | null;
}

/** A bar for each day, or for several where they are many. */
function DayBars({ counts, days, value }: DayBarsProps) {
  const several = Math.ceil(counts.length / MOST_BARS);
  const bars = new Uint32Array(Math.ceil(counts.length / several));
  counts.forEach((n, day) => {
    bars[Math.floor(day / several)] += n;
  });
  const startOf = (bar: number) => days.starts[bar * several] ?? Number.POSITIVE_INFINITY;
  const isIn = (bar: number) =>
    value === null || (startOf(bar) <= value[1] && startOf(bar + 1) > value[0]);
  return <Bars counts={bars} isIn={isIn} />;
}
