/** What the colours mean; a click on a class filters by it. */

import {
  AMOUNT_FIELDS,
  type Field,
  isWordField,
  TITLES,
  WORD_FIELDS,
  wordsOf,
  wordTitle,
} from "../core/fields";
import { chooseWords, type Range, withAmount } from "../core/filters";
import { shortCount } from "../core/format";
import { amountColor, css, MOST_CLASSES } from "../core/palette";
import { answer, coloring } from "../state/project";
import { changeView, view } from "../state/route";

const STEPS = 10;

export function Legend() {
  return (
    <div class="legend">
      <label class="legend-by">
        <span>Colour by</span>
        <select
          value={view.value.color}
          onChange={(event) => changeView({ color: event.currentTarget.value as Field })}
        >
          {[...WORD_FIELDS, ...AMOUNT_FIELDS].map((field) => (
            <option key={field} value={field}>
              {TITLES[field]}
            </option>
          ))}
        </select>
      </label>
      {isWordField(view.value.color) ? <Classes /> : <Scale />}
    </div>
  );
}

function Classes() {
  const now = coloring.value;
  if (!now || !isWordField(now.field)) return null;
  const { field } = now;
  const wanted = view.value.filters.words[field];
  const counts = answer.value?.counts.words[field];
  const choose = (words: readonly string[], more: boolean) =>
    changeView({ filters: chooseWords(view.peek().filters, field, words, more) });
  const classes = now.legend.filter(({ word }) => word !== "").length;
  return (
    <div class="legend-words">
      <ul class="legend-classes" aria-label={`Colours: ${TITLES[field]}`}>
        {now.legend.map(({ word, color }) => {
          const words = wordsOf(field, word);
          const isWanted = (one: string) => wanted?.includes(one) ?? false;
          return (
            <li key={word}>
              <button
                type="button"
                class="legend-class"
                aria-pressed={words.every(isWanted)}
                data-off={wanted !== undefined && !words.some(isWanted)}
                title="Show only this class (Shift: this one too)"
                onClick={(event) => choose(words, event.shiftKey)}
              >
                <span class="swatch" style={{ background: css(color) }} />
                <span class="cut">{wordTitle(field, word)}</span>
                {words.length === 1 && (
                  <span class="legend-count">{shortCount(counts?.get(word) ?? 0)}</span>
                )}
              </button>
            </li>
          );
        })}
      </ul>
      {classes > MOST_CLASSES && (
        <p class="hint">The rarest are grey: filter by them to colour them.</p>
      )}
    </div>
  );
}

function Scale() {
  const { color, filters } = view.value;
  if (isWordField(color)) return null;
  const asked = filters.amounts[color];
  const choose = ([low, high]: Range, more: boolean) => {
    const alone = asked?.[0] === low && asked[1] === high;
    const wider: Range = [Math.min(low, asked?.[0] ?? low), Math.max(high, asked?.[1] ?? high)];
    const next = alone ? null : more ? wider : ([low, high] as const);
    changeView({ filters: withAmount(view.peek().filters, color, next) });
  };
  return (
    <div class="legend-scale">
      <div class="legend-steps">
        {Array.from({ length: STEPS }, (_, step) => {
          const range: Range = [step / STEPS, (step + 1) / STEPS];
          const said = range.map((end) => end.toFixed(1)).join(" to ");
          return (
            <button
              key={said}
              type="button"
              aria-label={said}
              aria-pressed={asked !== undefined && asked[0] <= range[0] && range[1] <= asked[1]}
              title={`Show only ${said} (Shift: up to here)`}
              style={{ background: css(amountColor((step + 0.5) / STEPS)) }}
              onClick={(event) => choose(range, event.shiftKey)}
            />
          );
        })}
      </div>
      <div class="legend-ends">
        <span>0</span>
        <span>0.5</span>
        <span>1</span>
      </div>
      <div class="legend-unknown">
        <span class="swatch" style={{ background: css(amountColor(Number.NaN)) }} /> Unknown
      </div>
    </div>
  );
}
