/** How many there are of each, over what asks for them. */

import { shortCount } from "../core/format";

interface BarsProps {
  counts: Uint32Array;
  /** Whether what is asked for reaches into a bar. */
  isIn: (bar: number) => boolean;
}

export function Bars({ counts, isIn }: BarsProps) {
  const most = Math.max(1, ...counts);
  const width = 1 / counts.length;
  return (
    <svg class="bars" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
      {Array.from(counts, (n, bar) => {
        const height = n ? Math.max(Math.sqrt(n / most), 0.03) : 0;
        return (
          <rect
            key={bar}
            class={isIn(bar) ? "bar" : "bar bar-out"}
            x={bar * width + width * 0.08}
            y={1 - height}
            width={width * 0.84}
            height={height}
          />
        );
      })}
    </svg>
  );
}

interface PresetProps {
  /** What the range is of, for those who do not see its title. */
  of: string;
  says: string;
  n: number;
  isOn: boolean;
  set: (isOn: boolean) => void;
}

/** A range that is often asked for, and how many it would show. */
export function Preset({ of, says, n, isOn, set }: PresetProps) {
  return (
    <button type="button" class="preset" aria-pressed={isOn} onClick={() => set(!isOn)}>
      <span class="hidden">{of} </span>
      {says} <span class="preset-count">{shortCount(n)}</span>
    </button>
  );
}

/** What no range would let pass. */
export function Unknown({ n }: { n: number }) {
  if (n === 0) return null;
  return <span title="No range shows them">unknown {shortCount(n)}</span>;
}
