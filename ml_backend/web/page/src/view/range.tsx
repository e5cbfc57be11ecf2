/** A histogram with two handles: which amounts are asked for. */

import { useEffect, useState } from "preact/hooks";
import type { Range } from "../core/filters";
import { score } from "../core/format";

interface RangeProps {
  title: string;
  /** Rows per even bin over [0, 1]. */
  counts: Uint32Array;
  value: Range | null;
  change: (range: Range | null) => void;
}

const STEP = 0.01;
const WHOLE: Range = [0, 1];

export function RangeFilter({ title, counts, value, change }: RangeProps) {
  const [dragged, setDragged] = useState<Range | null>(null);
  const [low, high] = dragged ?? value ?? WHOLE;
  // A million rows take a moment: of many movements in one frame the last one counts.
  useEffect(() => {
    if (!dragged) return;
    const frame = requestAnimationFrame(() => {
      change(dragged);
      setDragged(null);
    });
    return () => cancelAnimationFrame(frame);
  }, [dragged]);
  const most = Math.max(1, ...counts);
  const width = 1 / counts.length;
  return (
    <div class="range">
      <svg class="bars" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
        {Array.from(counts, (n, bin) => {
          const height = n ? Math.max(Math.sqrt(n / most), 0.03) : 0;
          const inside = (bin + 1) * width > low && bin * width < high;
          return (
            <rect
              key={bin}
              class={inside ? "bar" : "bar bar-out"}
              x={bin * width + width * 0.08}
              y={1 - height}
              width={width * 0.84}
              height={height}
            />
          );
        })}
      </svg>
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
        {[0.5, 0.75, 0.9].map((least) => (
          <button
            key={least}
            type="button"
            class="preset"
            aria-pressed={value !== null && value[0] === least && value[1] === 1}
            onClick={() => change(value?.[0] === least && value[1] === 1 ? null : [least, 1])}
          >
            <span class="hidden">{title} </span>&gt; {least}
          </button>
        ))}
        <span>{score(high)}</span>
      </div>
    </div>
  );
}
