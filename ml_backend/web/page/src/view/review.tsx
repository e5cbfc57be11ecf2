/** The room where labels are looked at: filters, map, grid, and what to do about it. */

import type { Part } from "../api/contract";
import type { Layout } from "../core/address";
import { countFilters } from "../core/filters";
import type { SortKey } from "../core/sorting";
import { unanswered } from "../state/asked";
import { showHuman, showModel, sidebarOpen, type Tile, tile } from "../state/focus";
import { answer, areaIsStale, control, data, fetchPointsAgain, part } from "../state/project";
import { changeView, OTHER_ITEMS, view } from "../state/route";
import { ActionBar, clearEverything } from "./action_bar";
import { ControlTag } from "./control_tag";
import { Details } from "./details";
import { Grid } from "./grid";
import { Icon } from "./icons";
import { MapPanel } from "./map";
import { Sidebar } from "./sidebar";
import { Empty, Failed, Waiting } from "./states";
import { Unanalysed } from "./unanalysed";

export function Review() {
  if (!control.value) {
    return (
      <main class="page">
        <Empty title="Nothing to look at">
          The labelling config of this project has no tag that Relook can read. Add one in Label
          Studio: Settings › Labeling Interface.
        </Empty>
      </main>
    );
  }
  return (
    <main class="review" data-layout={view.value.layout}>
      <Sidebar />
      <div class="review-main">
        <Bar />
        <Panels />
        <Details />
        <ActionBar />
      </div>
    </main>
  );
}

function Panels() {
  const now = data.value.value;
  if (now.state === "failed" && !now.before) {
    return <NoPoints status={now.status} message={now.message} />;
  }
  if (!answer.value) return <Waiting title="Reading points" />;
  const { layout } = view.value;
  return (
    <div class="panels">
      {layout !== "grid" && <MapPanel />}
      {layout !== "map" && <GridPanel />}
    </div>
  );
}

function NoPoints({ status, message }: { status: number; message: string }) {
  if (status === 404) return <Unanalysed message={message} />;
  return <Failed title="No points could be read" message={message} retry={fetchPointsAgain} />;
}

const LAYOUTS: readonly { layout: Layout; title: string }[] = [
  { layout: "both", title: "Both" },
  { layout: "map", title: "Map" },
  { layout: "grid", title: "Grid" },
];
const PARTS: readonly { part: Part; title: string }[] = [
  { part: "inputs", title: "Whole" },
  { part: "regions", title: "Regions" },
];

function Bar() {
  const parts = control.value?.parts ?? [];
  const asked = countFilters(view.value.filters);
  return (
    <div class="bar">
      <button
        type="button"
        class="button bar-filters"
        aria-expanded={sidebarOpen.value}
        aria-controls="filters"
        onClick={() => {
          sidebarOpen.value = !sidebarOpen.value;
        }}
      >
        <Icon name="filter" /> Filters{asked > 0 && ` (${asked})`}
      </button>
      <ControlTag />
      {parts.length > 1 && (
        <Choice
          label="What a point is"
          options={PARTS.map((one) => ({ value: one.part, title: one.title }))}
          value={part.value}
          change={(next) => changeView({ ...OTHER_ITEMS, part: next })}
        />
      )}
      <span class="top-gap" />
      <Choice
        label="What is shown"
        options={LAYOUTS.map((one) => ({ value: one.layout, title: one.title }))}
        value={view.value.layout}
        change={(layout) => changeView({ layout }, "replace")}
      />
    </div>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  options: readonly { value: T; title: string }[];
  value: T;
  change: (value: T) => void;
}

function Choice<T extends string>({ label, options, value, change }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend class="hidden">{label}</legend>
      {options.map((one) => (
        <button
          key={one.value}
          type="button"
          aria-pressed={one.value === value}
          onClick={() => change(one.value)}
        >
          {one.title}
        </button>
      ))}
    </fieldset>
  );
}

const SORTS: readonly { key: SortKey; title: string }[] = [
  { key: "priority", title: "Priority" },
  { key: "confidence", title: "Confidence" },
  { key: "iou", title: "IoU" },
  { key: "outlier", title: "Outlier score" },
  { key: "updated", title: "Last changed" },
  { key: "task", title: "Task number" },
];
const TILES: readonly { value: Tile; title: string }[] = [
  { value: "small", title: "S" },
  { value: "medium", title: "M" },
  { value: "large", title: "L" },
];

function GridPanel() {
  const { sort, similar } = view.value;
  return (
    <section class="panel grid-panel" aria-label="Grid">
      <div class="grid-tools">
        {similar ? (
          <span class="hint">Nearest first</span>
        ) : (
          <label class="sort">
            Sort
            <select
              class="input input-small"
              value={sort.key}
              onChange={(event) =>
                changeView({ sort: { ...sort, key: event.currentTarget.value as SortKey } })
              }
            >
              {SORTS.map(({ key, title }) => (
                <option key={key} value={key}>
                  {title}
                </option>
              ))}
            </select>
            <button
              type="button"
              class="tool"
              aria-label={sort.descending ? "Highest first" : "Lowest first"}
              title={sort.descending ? "Highest first" : "Lowest first"}
              onClick={() => changeView({ sort: { ...sort, descending: !sort.descending } })}
            >
              {sort.descending ? "↓" : "↑"}
            </button>
          </label>
        )}
        <span class="top-gap" />
        <button
          type="button"
          class="key key-human-on"
          aria-pressed={showHuman.value}
          onClick={() => {
            showHuman.value = !showHuman.value;
          }}
        >
          <span class="key-human" /> Human
        </button>
        <button
          type="button"
          class="key"
          aria-pressed={showModel.value}
          onClick={() => {
            showModel.value = !showModel.value;
          }}
        >
          <span class="key-model" /> Model
        </button>
        <Choice
          label="Size of tiles"
          options={TILES}
          value={tile.value}
          change={(size) => {
            tile.value = size;
          }}
        />
      </div>
      <GridOrNothing />
    </section>
  );
}

function NoRegions() {
  return (
    <Empty title="Nobody has drawn a region yet">
      <button
        type="button"
        class="button"
        onClick={() => changeView({ ...OTHER_ITEMS, part: "inputs" })}
      >
        Show the whole inputs
      </button>
    </Empty>
  );
}

function StaleArea() {
  return (
    <Empty title="The map was laid out anew">
      <p>The area was drawn on the map before. Draw it again.</p>
      <button type="button" class="button" onClick={() => changeView({ area: [] })}>
        Go on without the area
      </button>
    </Empty>
  );
}

function GridOrNothing() {
  const open = unanswered.value;
  if (open?.failed) return <Failed title={open.title} message={open.message} retry={open.again} />;
  if (answer.value?.data.points.length === 0 && part.value === "regions") return <NoRegions />;
  if (areaIsStale.value) return <StaleArea />;
  if (answer.value?.rows.length === 0) {
    return (
      <Empty title="Nothing matches">
        <button type="button" class="button" onClick={clearEverything}>
          Clear filters and areas
        </button>
      </Empty>
    );
  }
  return <Grid />;
}
