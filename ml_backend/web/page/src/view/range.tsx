/** A histogram with two handles: which amounts are asked for. */

import { useEffect, useState } from "preact/hooks";
import { countAtLeast, type Spread } from "../core/bins";
import type { Range } from "../core/filters";
import { score } from "../core/format";
import { Bars, Preset, Unknown } from "./bars";

interface RangeProps {
  title: string;
  /** Rows per even bin over [0, 1]. */
  spread: Spread;
  value: Range | null;
  change: (range: Range | null) => void;
}

const STEP = 0.01;
const WHOLE: Range = [0, 1];
/** Edges of bins: how many there are from each on is known. */
const LEAST = [0.5, 0.75, 0.9];

export function RangeFilter({ title, spread, value, change }: RangeProps) {
  const { counts, unknown } = spread;
  const [dragged, setDragged] = useState<Range | null>(null);
  const [low, high] = dragged ?? value ?? WHOLE;
  // A million rows take a moment: of many movements in one frame the last one counts.
  useEffect(() => {
    if (!dragged) return;
    const frame = requestAnimationFrame(() => {
      change(dragged);
      // Moved again before this frame, it has a frame of its own to come.
      setDragged((now) => (now === dragged ? null : now));
    });
    return () => cancelAnimationFrame(frame);
  }, [dragged]);
  const width = 1 / counts.length;
  const isIn = (bin: number) => (bin + 1) * width > low && bin * width < high;
  return (
    <div class="range">
      <Bars counts={counts} isIn={isIn} />
      <div class="handles">
        <span
          class="handles-between"
          style={{ left: `${low * 100}%`, right: `${100 - high * 100}%` }}
        />
        <input
          type="range"
          min={0}
          max={1}
          step={STEP}
          value={low}
          // Where both meet at the upper end, this one alone can be dragged away.
          style={{ zIndex: low > 0.5 ? 1 : 0 }}
          aria-label={`${title}: at least`}
          onInput={(event) => setDragged([Math.min(event.currentTarget.valueAsNumber, high), high])}
        />
        <input
          type="range"
          min={0}
          max={1}
          step={STEP}
          value={high}
          aria-label={`${title}: at most`}
          onInput={(event) => setDragged([low, Math.max(event.currentTarget.valueAsNumber, low)])}
        />
      </div>
      <div class="range-ends">
        <span>{score(low)}</span>
        <Unknown n={unknown} />
        <span>{score(high)}</span>
      </div>
      <div class="presets">
        {LEAST.map((least) => (
          <Preset
            key={least}
            of={title}
            says={`≥ ${least}`}
            n={countAtLeast(counts, least)}
            isOn={value?.[0] === least && value[1] === 1}
            set={(isOn) => change(isOn ? [least, 1] : null)}
          />
        ))}
      </div>
    </div>
  );
}
