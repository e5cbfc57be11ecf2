/** The side bar: every filter with its counts. */

import { type AmountField, TITLES } from "../core/fields";
import { countFilters, type Filters, NO_FILTERS, type Range, withAmount } from "../core/filters";
import { plural, shortCount } from "../core/format";
import { sidebarOpen } from "../state/focus";
import { current } from "../state/loading";
import { answer, control, searching } from "../state/project";
import { changeView, view } from "../state/route";
import { Preset } from "./bars";
import { DateFacet } from "./date_facet";
import { Facet, WordFacet } from "./facet";
import { Icon } from "./icons";
import { RangeFilter } from "./range";

const change = (filters: Filters) => changeView({ filters }, "replace");

export function Sidebar() {
  const { filters } = view.value;
  const asked = countFilters(filters);
  return (
    <aside class="sidebar" id="filters" aria-label="Filters" data-open={sidebarOpen.value}>
      <div class="sidebar-head">
        <h2>Filters</h2>
        {asked > 0 && (
          <button type="button" class="link" onClick={() => changeView({ filters: NO_FILTERS })}>
            Clear all ({asked})
          </button>
        )}
        <button
          type="button"
          class="tool sidebar-close"
          aria-label="Close the filters"
          onClick={() => {
            sidebarOpen.value = false;
          }}
        >
          <Icon name="close" />
        </button>
      </div>
      <div class="sidebar-body">
        <SearchFilter />
        <WordFacet field="flag" />
        <WordFacet field="kind" />
        <Mistakes />
        <AmountFacet field="confidence" />
        <AmountFacet field="iou" />
        <AmountFacet field="priority" />
        <WordFacet field="label" />
        <WordFacet field="predicted" />
        <OddFacet />
        <AmountFacet field="outlier" open={false} />
        <WordFacet field="annotator" />
        <WordFacet field="tags" />
        <DateFacet />
      </div>
    </aside>
  );
}

function SearchFilter() {
  const { filters } = view.value;
  const state = searching.value;
  const hits = current(state);
  return (
    <search class="search">
      <Icon name="search" />
      <input
        id="search"
        type="search"
        class="input"
        placeholder="Search text, file, reason, id"
        aria-label="Search text, file name, reason or id"
        value={filters.search}
        onInput={(event) => change({ ...filters, search: event.currentTarget.value })}
      />
      {state.state === "failed" && <p class="search-said">{state.message}</p>}
      {hits?.more && (
        <p class="search-said">The first {plural(hits.tasks.size, "task")}: be more exact</p>
      )}
    </search>
  );
}

function AmountFacet({ field, open = true }: { field: AmountField; open?: boolean }) {
  const spread = answer.value?.counts.amounts[field];
  const { filters } = view.value;
  const value = filters.amounts[field] ?? null;
  if (!spread || (!value && spread.counts.every((n) => n === 0))) return null;
  const set = (range: Range | null) => change(withAmount(view.peek().filters, field, range));
  return (
    <Facet title={TITLES[field]} asks={value !== null} clear={() => set(null)} open={open}>
      <RangeFilter title={TITLES[field]} spread={spread} value={value} change={set} />
    </Facet>
  );
}

const MISTAKES = [
  { field: "falsePositives", title: "False positives", hint: "found by the model alone" },
  { field: "falseNegatives", title: "False negatives", hint: "drawn by people alone" },
] as const;

function Mistakes() {
  const counts = answer.value?.counts;
  const { filters } = view.value;
  const asks = filters.falsePositives + filters.falseNegatives > 0;
  const has = counts && (counts.falsePositives[1] > 0 || counts.falseNegatives[1] > 0);
  if (!counts || (!has && !asks) || control.value?.geometry === "choice") return null;
  return (
    <Facet
      title="Mistakes per task"
      asks={asks}
      clear={() => change({ ...filters, falsePositives: 0, falseNegatives: 0 })}
    >
      {MISTAKES.map(({ field, title, hint }) => (
        <fieldset key={field} class="mistakes" title={`${title}: ${hint}`}>
          <legend>{title}</legend>
          {[1, 2, 3].map((least) => (
            <Preset
              key={least}
              of={title}
              says={`≥ ${least}`}
              n={counts[field][least]}
              isOn={filters[field] === least}
              set={(isOn) => change({ ...filters, [field]: isOn ? least : 0 })}
            />
          ))}
        </fieldset>
      ))}
    </Facet>
  );
}

function OddFacet() {
  const { filters } = view.value;
  const odd = answer.value?.counts.amid ?? 0;
  if (odd === 0 && !filters.amid) return null;
  return (
    <div class="facet facet-plain">
      <label class="word" title="Points of one class that lie among points of another">
        <input
          type="checkbox"
          checked={filters.amid}
          onChange={() => change({ ...filters, amid: !filters.amid })}
        />
        <span class="cut">Amid another class</span>
        <span class="word-count">{shortCount(odd)}</span>
      </label>
    </div>
  );
}
