/** Views kept under a name, and the address of the one that is seen. */

import { effect, signal } from "@preact/signals";
import { useState } from "preact/hooks";
import * as client from "../api/client";
import type { Views } from "../api/contract";
import { writeView } from "../core/address";
import { current, projectLoader } from "../state/loading";
import { mayChange } from "../state/project";
import { addressOfView, openProject, projectId, view } from "../state/route";
import { noteSignedOut } from "../state/session";
import { Answers, Dialog } from "./dialog";
import { Icon } from "./icons";
import { Menu } from "./menu";

const views = projectLoader<Views>();
const said = signal("");
/** What is typed as the name of the next one. */
const name = signal("");

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
  name.value = "";
  wish.value = null;
});

function fetchViews(): void {
  const id = projectId.peek();
  if (id !== null) void views.load(() => client.views(id));
}

/** Do it, and list what is kept then; why it was refused, or null. */
async function change(work: (id: number) => Promise<unknown>): Promise<client.ApiError | null> {
  const id = projectId.peek();
  if (id === null) return null;
  let refusal: client.ApiError | null = null;
  said.value = "";
  try {
    await work(id);
  } catch (error) {
    noteSignedOut(error);
    refusal = error as client.ApiError;
  }
  if (projectId.peek() !== id) return null;
  said.value = refusal?.message ?? "";
  await views.load(() => client.views(id));
  return refusal;
}

/** Whether a view of that name is listed. */
const isKnown = (title: string) => Object.hasOwn(current(views.value.peek()) ?? {}, title);

async function save(title: string, query: string, replace = false): Promise<void> {
  const refusal = await change((id) => client.saveView(id, title, query, replace));
  if (!refusal) name.value = "";
  else if (refusal.status === 409 && isKnown(title)) {
    said.value = "";
    const act = () => void save(title, query, true);
    wish.value = { title: `Replace the view “${title}”?`, yes: "Replace", act };
  }
}

const VIEWS = (
  <>
    <Icon name="star" /> <span>Views</span>
  </>
);

export function ViewsMenu() {
  const keep = (event: Event) => {
    event.preventDefault();
    void save(name.peek().trim(), writeView(view.peek()));
  };
  return (
    <>
      <Menu kind="button" button={VIEWS} opened={fetchViews} news={said.value}>
        <Listed />
        {mayChange.value && (
          <form class="view-save" onSubmit={keep}>
            <input
              class="input input-small"
              placeholder="Name of this view"
              aria-label="Name of this view"
              maxLength={80}
              value={name.value}
              onInput={(event) => {
                name.value = event.currentTarget.value;
              }}
            />
            <button type="submit" class="button" disabled={name.value.trim() === ""}>
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
      </Menu>
      <ViewQuestion />
    </>
  );
}

function Listed() {
  const now = views.value.value;
  const found = current(now);
  const id = projectId.value as number;
  return (
    <>
      {now.state === "failed" && (
        <p class="error" role="alert">
          The views could not be read. {now.message}{" "}
          <button type="button" class="link" onClick={fetchViews}>
            Try again
          </button>
        </p>
      )}
      {now.state === "loading" && !found && <p role="status">Reading the views…</p>}
      {found && Object.keys(found).length === 0 && (
        <p class="hint">Save the filters and colours you come back to.</p>
      )}
      <ul class="views">
        {Object.entries(found ?? {}).map(([title, query]) => (
          <li key={title}>
            <button
              type="button"
              class="view-open"
              data-closes
              onClick={() => openProject(id, query)}
            >
              {title}
            </button>
            {mayChange.value && <Remove title={title} />}
          </li>
        ))}
      </ul>
    </>
  );
}

function Remove({ title }: { title: string }) {
  const act = () => void change((project) => client.deleteView(project, title));
  const ask = () => {
    wish.value = { title: `Delete the view “${title}”?`, yes: "Delete", act };
  };
  return (
    <button type="button" class="tool" aria-label={`Delete the view ${title}`} onClick={ask}>
      <Icon name="close" />
    </button>
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
  const [stand, setStand] = useState<"" | "copied" | "refused">("");
  // Over plain http a browser lends no clipboard.
  if (!navigator.clipboard) return <AddressField />;
  if (stand === "refused") {
    return (
      <>
        <p class="error" role="alert">
          The browser refused its clipboard: copy the address from here.
        </p>
        <AddressField />
      </>
    );
  }
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(addressOfView());
    } catch {
      return setStand("refused");
    }
    setStand("copied");
    setTimeout(() => setStand(""), 2000);
  };
  return (
    <button type="button" class="link" onClick={() => void copy()}>
      {stand === "copied" ? "Copied" : "Copy the address of this view"}
    </button>
  );
}

function AddressField() {
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
