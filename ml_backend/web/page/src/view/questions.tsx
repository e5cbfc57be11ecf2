/** What is asked before something is written: how many, what is left out, and the one yes. */

import { useEffect, useState } from "preact/hooks";
import type { ActionName, ActionOptions, DryRun } from "../api/contract";
import { batchPlaces } from "../core/batch_places";
import { count, plural } from "../core/format";
import { perform, type Question, question, tryOut } from "../state/actions";
import { answer, openProject, project } from "../state/project";
import { Answers, Dialog } from "./dialog";
import { NumberField } from "./number_field";

const close = () => {
  question.value = null;
};

export function Questions() {
  const now = question.value;
  if (!now) return null;
  if (now.action === "approve") return <Approve asked={now} />;
  if (now.action === "batch") return <SendBatch asked={now} />;
  if (now.action === "tag") return <TagTasks asked={now} />;
  return <Sure asked={now} />;
}

const SURE: Readonly<Partial<Record<ActionName, string>>> = {
  flag: "Flag",
  clear: "Clear the flag of",
};

/** Very many at once, of what can be taken back. */
function Sure({ asked }: { asked: Question }) {
  const verb = `${SURE[asked.action] ?? asked.action} ${plural(asked.tasks.length, "task")}`;
  return (
    <Dialog title={`${verb}?`} close={close}>
      <p>No annotation is written, and it can be undone.</p>
      <Answers yes={verb} off={false} close={close} act={() => void perform(asked.action, asked)} />
    </Dialog>
  );
}

type Tried = DryRun | string | null;

const PAUSE_MS = 250;

/** What would be done with these very options; null while that, or they, are not known. */
function useDryRun(asked: Question, options: ActionOptions | null): Tried {
  const [tried, setTried] = useState<{ key: string; found: Tried }>({ key: "", found: null });
  const key = JSON.stringify(options);
  useEffect(() => {
    if (!options) return;
    let over = false;
    const take = (found: Tried) => {
      if (!over) setTried({ key, found });
    };
    const look = () => {
      tryOut(asked.action, asked, options).then(take, (error: Error) => take(error.message));
    };
    const timer = setTimeout(look, tried.key ? PAUSE_MS : 0);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [asked, key]);
  return tried.key === key ? tried.found : null;
}

function Outcome({ tried, of }: { tried: Tried; of: number }) {
  if (tried === null) return <p role="status">Counting…</p>;
  if (typeof tried === "string") {
    return (
      <p class="error" role="alert">
        {tried}
      </p>
    );
  }
  const left = Object.entries(tried.left_out);
  if (tried.count === of && left.length === 0 && tried.notes.length === 0) return null;
  return (
    <div class="outcome">
      <p>
        {count(tried.count)} of {count(of)} will be done.
      </p>
      <ul>
        {left.map(([reason, n]) => (
          <li key={reason}>
            {count(n)} left out: {reason}
          </li>
        ))}
        {tried.notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </div>
  );
}

const countOf = (tried: Tried): number =>
  tried !== null && typeof tried === "object" ? tried.count : 0;

function Approve({ asked }: { asked: Question }) {
  const [typed, setTyped] = useState<number | null>(null);
  const [valid, setValid] = useState(true);
  const confidence = typed ?? openProject.value?.approve_confidence ?? 1;
  // The project's own may be another one since the page was opened: it is read again.
  const known = typed !== null || project.value.value.state !== "loading";
  const options = { confidence };
  const tried = useDryRun(asked, known ? options : null);
  const ready = countOf(tried);
  return (
    <Dialog title={`Approve ${plural(asked.tasks.length, "task")}?`} close={close}>
      <p>
        What the model is sure of becomes the label of tasks that nobody has begun. It can be undone
        until somebody changes it.
      </p>
      <NumberField
        {...{ title: "Sure from a confidence of", kind: "field", least: 0.5, most: 1 }}
        value={confidence}
        change={setTyped}
        valid={setValid}
      />
      {valid && <Outcome tried={tried} of={asked.tasks.length} />}
      <Answers
        yes={valid && ready ? `Approve ${count(ready)}` : "Approve"}
        off={!valid || ready === 0}
        close={close}
        act={() => void perform("approve", asked, options)}
      />
    </Dialog>
  );
}

function SendBatch({ asked }: { asked: Question }) {
  const [to, setTo] = useState("");
  const open = openProject.value;
  const places = batchPlaces(open?.batch_to ?? "", open?.title ?? "");
  // The project's own may be another one since the page was opened: it is read again.
  const known = to !== "" || project.value.value.state !== "loading";
  const options: ActionOptions = to ? { to } : {};
  const tried = useDryRun(asked, known ? options : null);
  const ready = countOf(tried);
  return (
    <Dialog
      title={`Send ${plural(asked.tasks.length, "task")} to be labelled again?`}
      close={close}
    >
      <label class="field">
        <span>Where</span>
        <select class="input" value={to} onChange={(event) => setTo(event.currentTarget.value)}>
          {places.map((place) => (
            <option key={place.value} value={place.value}>
              {place.title}
            </option>
          ))}
        </select>
      </label>
      <Outcome tried={tried} of={asked.tasks.length} />
      <Answers
        yes={ready ? `Send ${count(ready)}` : "Send"}
        off={ready === 0}
        close={close}
        act={() => void perform("batch", asked, options)}
      />
    </Dialog>
  );
}

function TagTasks({ asked }: { asked: Question }) {
  const [tag, setTag] = useState("");
  const [off, setOff] = useState(false);
  const known = [...(answer.value?.counts.words.tags.keys() ?? [])].filter((one) => one !== "");
  const several = asked.regions.length
    ? plural(asked.regions.length, "region")
    : plural(asked.tasks.length, "task");
  return (
    <Dialog title={`Tag ${several}`} close={close}>
      <label class="field">
        <span>Tag</span>
        <input
          class="input"
          list="known-tags"
          value={tag}
          autofocus
          onInput={(event) => setTag(event.currentTarget.value)}
        />
        <datalist id="known-tags">
          {known.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      </label>
      <label class="check">
        <input type="checkbox" checked={off} onChange={() => setOff(!off)} />
        Take the tag off
      </label>
      <Answers
        yes={off ? `Untag ${several}` : `Tag ${several}`}
        off={tag.trim() === ""}
        close={close}
        act={() => void perform(off ? "untag" : "tag", asked, { tag: tag.trim() })}
      />
    </Dialog>
  );
}
