/** A number within bounds; what is out of them is shown as wrong and stands for nothing. */

import { useState } from "preact/hooks";

interface NumberFieldProps {
  title: string;
  /** Class of the label: "field" or "threshold". */
  kind: string;
  least: number;
  most: number;
  value: number;
  change: (value: number) => void;
  /** Told whether what stands in the field is a number within the bounds. */
  valid?: (valid: boolean) => void;
}

const STEP = 0.05;

export function NumberField({ title, kind, least, most, value, change, valid }: NumberFieldProps) {
  // What is typed stands as it is: "0." will be a number, and "0.90" is one already.
  const [typed, setTyped] = useState<{ text: string; value: number | null } | null>(null);
  const wrong = typed !== null && typed.value === null;
  const text = typed && (wrong || typed.value === value) ? typed.text : value;
  const bounds = `From ${least} to ${most}`;
  const take = (input: HTMLInputElement) => {
    const next = input.valueAsNumber;
    const good = next >= least && next <= most;
    setTyped({ text: input.value, value: good ? next : null });
    valid?.(good);
    if (good) change(next);
  };
  return (
    <>
      <label class={kind}>
        <span>{title}</span>
        <input
          class="input input-small"
          type="number"
          min={least}
          max={most}
          step={STEP}
          value={text}
          title={bounds}
          aria-invalid={wrong}
          onInput={(event) => take(event.currentTarget)}
        />
      </label>
      {wrong && (
        <span class="error" role="alert">
          {bounds}
        </span>
      )}
    </>
  );
}
