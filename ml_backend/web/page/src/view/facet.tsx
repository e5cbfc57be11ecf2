/** One field of the side bar: its words with counts, or whatever stands in it. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { TITLES, type WordField, wordTitle } from "../core/fields";
import { toggleWord, withWords } from "../core/filters";
import { shortCount } from "../core/format";
import { answer } from "../state/project";
import { changeView, view } from "../state/route";
import { Icon } from "./icons";

interface FacetProps {
  title: string;
  /** Whether it asks something now. */
  asks: boolean;
  clear: () => void;
  /** Whether it is open before anybody opens it. */
  open?: boolean;
  children: ComponentChildren;
}

export function Facet({ title, asks, clear, open = true, children }: FacetProps) {
  return (
    <div class="facet">
      <details open={open || asks}>
        <summary>
          <Icon name="right" />
          <span>{title}</span>
        </summary>
        <div class="facet-body">{children}</div>
      </details>
      {asks && (
        <button type="button" class="facet-clear link" onClick={clear}>
          Clear<span class="hidden"> {title}</span>
        </button>
      )}
    </div>
  );
}

const FEW = 8;

export function WordFacet({ field, open = true }: { field: WordField; open?: boolean }) {
  const [all, setAll] = useState(false);
  const [looked, setLooked] = useState("");
  const counts = answer.value?.counts.words[field];
  const { filters } = view.value;
  const wanted = filters.words[field] ?? [];
  if (!counts || (counts.size < 2 && wanted.length === 0)) return null;
  const change = (next: typeof filters) => changeView({ filters: next });
  // Words stay where they are while counts change: the eye keeps its place.
  const words = [...new Set([...counts.keys(), ...wanted])]
    .filter((word) => wordTitle(field, word).toLowerCase().includes(looked.toLowerCase()))
    .sort((a, b) => Number(a === "") - Number(b === "") || a.localeCompare(b, undefined, ORDER));
  // What is asked for can always be taken back.
  const shown =
    all || looked ? words : words.filter((word, place) => place < FEW || wanted.includes(word));
  return (
    <Facet
      title={TITLES[field]}
      asks={wanted.length > 0}
      clear={() => change(withWords(filters, field, null))}
      open={open}
    >
      {counts.size > 2 * FEW && (
        <input
          type="search"
          class="input input-small"
          placeholder="Find…"
          aria-label={`Find in ${TITLES[field]}`}
          value={looked}
          onInput={(event) => setLooked(event.currentTarget.value)}
        />
      )}
      <ul class="words">
        {shown.map((word) => (
          <li key={word}>
            <label class="word" data-none={counts.get(word) === 0}>
              <input
                type="checkbox"
                checked={wanted.includes(word)}
                onChange={() => change(toggleWord(filters, field, word))}
              />
              <span class="cut">{wordTitle(field, word)}</span>
              <span class="word-count">{shortCount(counts.get(word) ?? 0)}</span>
            </label>
          </li>
        ))}
      </ul>
      {words.length > FEW && !looked && (
        <button type="button" class="link" onClick={() => setAll(!all)}>
          {all ? "Fewer" : `All ${words.length}`}
        </button>
      )}
    </Facet>
  );
}

const ORDER = { numeric: true } as const;
