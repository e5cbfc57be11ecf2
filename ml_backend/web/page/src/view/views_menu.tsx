/** Views kept under a name, and the address of the one that is seen. */

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import * as client from "../api/client";
import type { Views } from "../api/contract";
import { writeView } from "../core/address";
import { current, loader } from "../state/loading";
import { openProject, projectId, view } from "../state/route";
import { Icon } from "./icons";

const views = loader<Views>();
const said = signal("");

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

export function ViewsMenu() {
  const [name, setName] = useState("");
  const id = projectId.value as number;
  useEffect(() => void views.load(() => client.views(id)), [id]);
  const all = Object.entries(current(views.value.value) ?? {});
  const save = (event: Event) => {
    event.preventDefault();
    const query = writeView(view.peek());
    void change((project) => client.saveView(project, name.trim(), query)).then(() => setName(""));
  };
  return (
    <details class="menu">
      <summary class="button">
        <Icon name="star" /> <span>Views</span>
      </summary>
      <div class="menu-body">
        {all.length === 0 && <p class="hint">Save the filters and colours you come back to.</p>}
        <ul class="views">
          {all.map(([title, query]) => (
            <li key={title}>
              <button type="button" class="view-open" onClick={() => openProject(id, query)}>
                {title}
              </button>
              <button
                type="button"
                class="tool"
                aria-label={`Delete the view ${title}`}
                onClick={() => void change((project) => client.deleteView(project, title))}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
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
        {said.value && (
          <p class="error" role="alert">
            {said.value}
          </p>
        )}
        <CopyAddress />
      </div>
    </details>
  );
}

function CopyAddress() {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(location.href);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <button type="button" class="link" onClick={() => void copy()}>
      {copied ? "Copied" : "Copy the address of this view"}
    </button>
  );
}
