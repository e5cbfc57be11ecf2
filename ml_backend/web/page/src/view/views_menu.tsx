/** Views kept under a name, and the address of the one that is seen. */

import { effect, signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import * as client from "../api/client";
import type { Views } from "../api/contract";
import { writeView } from "../core/address";
import { current, projectLoader } from "../state/loading";
import { mayChange } from "../state/project";
import { addressOfView, openProject, projectId, view } from "../state/route";
import { Answers, Dialog } from "./dialog";
import { Icon } from "./icons";
import { Menu } from "./menu";

const views = projectLoader<Views>();
const said = signal("");

/** What somebody else may have kept is lost only after a question. */
interface Wish {
  title: string;
  yes: string;
  act: () => void;
}
const wish = signal<Wish | null>(null);

effect(() => {
  void projectId.value;
  said.value = "";
  wish.value = null;
});

async function change(work: (id: number) => Promise<unknown>): Promise<void> {
  const id = projectId.peek();
  if (id === null) return;
  try {
    await work(id);
    said.value = "";
    await views.load(() => client.views(id));
  } catch (error) {
    said.value = (error as Error).message;
  }
}

const VIEWS = (
  <>
    <Icon name="star" /> <span>Views</span>
  </>
);

export function ViewsMenu() {
  const [name, setName] = useState("");
  const id = projectId.value as number;
  useEffect(() => void views.load(() => client.views(id)), [id]);
  const all = Object.entries(current(views.value.value) ?? {});
  const save = (event: Event) => {
    event.preventDefault();
    const [title, query] = [name.trim(), writeView(view.peek())];
    const act = () => {
      void change((project) => client.saveView(project, title, query)).then(() => setName(""));
    };
    if (all.some(([known]) => known === title)) {
      wish.value = { title: `Replace the view “${title}”?`, yes: "Replace", act };
    } else act();
  };
  const remove = (title: string) => {
    const act = () => void change((project) => client.deleteView(project, title));
    wish.value = { title: `Delete the view “${title}”?`, yes: "Delete", act };
  };
  return (
    <Menu kind="button" button={VIEWS}>
      {all.length === 0 && <p class="hint">Save the filters and colours you come back to.</p>}
      <ul class="views">
        {all.map(([title, query]) => (
          <li key={title}>
            <button type="button" class="view-open" onClick={() => openProject(id, query)}>
              {title}
            </button>
            {mayChange.value && (
              <button
                type="button"
                class="tool"
                aria-label={`Delete the view ${title}`}
                onClick={() => remove(title)}
              >
                <Icon name="close" />
              </button>
            )}
          </li>
        ))}
      </ul>
      {mayChange.value && (
        <form class="view-save" onSubmit={save}>
          <input
            class="input input-small"
            placeholder="Name of this view"
            aria-label="Name of this view"
            maxLength={80}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <button type="submit" class="button" disabled={name.trim() === ""}>
            Save
          </button>
        </form>
      )}
      {said.value && (
        <p class="error" role="alert">
          {said.value}
        </p>
      )}
      <CopyAddress />
      <ViewQuestion />
    </Menu>
  );
}

function ViewQuestion() {
  const now = wish.value;
  if (!now) return null;
  const close = () => {
    wish.value = null;
  };
  return (
    <Dialog title={now.title} close={close}>
      <p>Views are shared by all who work on this project.</p>
      <Answers yes={now.yes} off={false} act={now.act} close={close} />
    </Dialog>
  );
}

function CopyAddress() {
  const [copied, setCopied] = useState(false);
  // Over plain http a browser lends no clipboard.
  if (!navigator.clipboard) {
    return (
      <input
        class="input input-small"
        aria-label="Address of this view, to copy"
        readOnly
        value={addressOfView()}
        onFocus={(event) => event.currentTarget.select()}
      />
    );
  }
  const copy = async () => {
    await navigator.clipboard.writeText(addressOfView());
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <button type="button" class="link" onClick={() => void copy()}>
      {copied ? "Copied" : "Copy the address of this view"}
    </button>
  );
}
