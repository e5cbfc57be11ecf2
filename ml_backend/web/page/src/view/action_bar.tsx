/** What can be done with what is picked or shown, and on how many. */

import type { Cell } from "../core/address";
import { NO_FILTERS } from "../core/filters";
import { count, plural } from "../core/format";
import { ask, FLAGGED, performOrAsk, target } from "../state/actions";
import { cell as cellItems, unanswered } from "../state/asked";
import { type Answer, answer, mayChange } from "../state/project";
import { changeView, view } from "../state/route";
import { Icon, type IconName } from "./icons";

export function ActionBar() {
  const now = answer.value;
  if (!now) return null;
  const { tasks, rows, said } = target.value;
  return (
    <div class="action-bar" role="toolbar" aria-label="Actions">
      <div class="action-target" aria-live="polite">
        {unanswered.value ? <Unanswered /> : <strong>{said}</strong>}
        {tasks.length !== rows.length && <span>in {plural(tasks.length, "task")}</span>}
        <Narrowed />
      </div>
      {mayChange.value ? (
        <Acts now={now} />
      ) : (
        <p class="hint">You may look at this project, not change it.</p>
      )}
    </div>
  );
}

function Unanswered() {
  const now = unanswered.value;
  if (!now) return null;
  return (
    <>
      {!now.failed && <span class="spinner" aria-hidden="true" />}
      <strong>{now.title}</strong>
      {now.failed && (
        <button type="button" class="button" title={now.message} onClick={now.again}>
          Try again
        </button>
      )}
    </>
  );
}

function Acts({ now }: { now: Answer }) {
  const { tasks, narrowed } = target.value;
  const { excludeFlagged } = view.value;
  const none = tasks.length === 0;
  const several = count(tasks.length);
  const flagged = now.counts.words.flag.get(FLAGGED) ?? 0;
  return (
    <>
      <label class="check" title="Leave out tasks that need review">
        <input
          type="checkbox"
          checked={excludeFlagged}
          disabled={flagged === 0 && !excludeFlagged}
          onChange={() => changeView({ excludeFlagged: !excludeFlagged }, "replace")}
        />
        Exclude flagged
      </label>
      <div class="action-buttons">
        <Act
          icon="flag"
          title={`Flag ${several}`}
          hint="Mark as needing review (F)"
          off={none}
          act={() => performOrAsk("flag", target.peek())}
        />
        <Act
          icon="close"
          title="Clear flag"
          hint={`Take the flag from ${several}`}
          off={none}
          act={() => performOrAsk("clear", target.peek())}
        />
        <Act
          icon="tag"
          title="Tag…"
          hint={`Put a tag on ${several}, or take it off`}
          off={none}
          act={() => ask("tag", target.peek())}
        />
        <Act
          icon="send"
          title="Relabel…"
          hint={`Send ${several} as a relabel batch`}
          off={none}
          act={() => ask("batch", target.peek())}
        />
        <Act
          icon="check"
          title={`Approve ${several}…`}
          hint="Take what the model is sure of as labels (A)"
          off={none}
          strong={narrowed}
          act={() => ask("approve", target.peek())}
        />
      </div>
    </>
  );
}

interface ActProps {
  icon: IconName;
  title: string;
  hint: string;
  off: boolean;
  strong?: boolean;
  act: () => void;
}

function Act({ icon, title, hint, off, strong, act }: ActProps) {
  const kind = strong ? "button button-strong" : "button";
  return (
    <button type="button" class={kind} title={hint} disabled={off} onClick={act}>
      <Icon name={icon} /> <span>{title}</span>
    </button>
  );
}

/** What narrows the view, each with a way out of it. */
function Narrowed() {
  const { area, picked, similar, cell } = view.value;
  return (
    <>
      {picked.length > 0 && (
        <Chip said="Unpick" label="Unpick all" act={() => changeView({ picked: [] })} />
      )}
      {area.length > 0 && (
        <Chip said="Area" label="Remove the area" act={() => changeView({ area: [] })} />
      )}
      {similar && (
        <Chip
          said={`Like task ${similar[0]}`}
          label="Show not only similar items"
          act={() => changeView({ similar: null })}
        />
      )}
      {cell && (
        <Chip
          said={cellTitle(cell)}
          label="Show not only this cell"
          act={() => changeView({ cell: null })}
        />
      )}
    </>
  );
}

/** A cell counts regions of the model and single annotations, which are no rows of their own. */
function cellTitle({ human, model }: Cell): string {
  const said = `Human ${human ?? "nothing"}, model ${model ?? "nothing"}`;
  const items = cellItems.answer.value;
  if (!items || items.keys.size === items.count) return said;
  return `${said}: ${count(items.count)} in ${plural(items.keys.size, "task")}`;
}

function Chip({ said, label, act }: { said: string; label: string; act: () => void }) {
  return (
    <button type="button" class="chip" aria-label={label} title={label} onClick={act}>
      {said} <Icon name="close" />
    </button>
  );
}

export function clearEverything(): void {
  changeView({ filters: NO_FILTERS, area: [], picked: [], similar: null, cell: null });
}
