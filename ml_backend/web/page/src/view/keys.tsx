/** Keys that work wherever one is, and the list of all. */

import { useEffect } from "preact/hooks";
import { keyName } from "../core/keys";
import { ask, atHand, performOrAskByKey, takeBackNewest } from "../state/actions";
import { focused, keysOpen, sidebarOpen } from "../state/focus";
import { answer, mayChange } from "../state/project";
import { changeView, view } from "../state/route";
import { Dialog } from "./dialog";
import { moreLike, step } from "./item_keys";

const KEYS: readonly (readonly [string, string])[] = [
  ["← ↑ ↓ →", "Move in the grid, or move the map"],
  ["J K", "Next sample, previous sample, from the map too"],
  ["Space", "Pick the sample, or put it back"],
  ["Shift + arrows", "Pick on the way"],
  ["Enter", "Open the task in Label Studio"],
  ["F", "Flag what is picked, else the whole area, else the sample at the cursor"],
  ["A", "Approve it"],
  ["T", "Tag it"],
  ["U", "Undo what you did last, while its note is there"],
  ["M", "More like this"],
  ["/", "Search"],
  ["G", "Go to the grid"],
  ["Esc", "Unpick, then remove the area"],
  ["+ − 0", "Zoom the map, see everything"],
  ["V", "In the map: take what is in sight as the area"],
  ["?", "These keys"],
];

export function KeyHelp() {
  if (!keysOpen.value) return null;
  const close = () => {
    keysOpen.value = false;
  };
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div class="dialog-answers">
        <button type="button" class="button" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

// A box that was just ticked takes no letters, nor does a slider that was just dragged.
const TAKES_KEYS = "input:not([type=checkbox], [type=range]), select, textarea, dialog";

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest(TAKES_KEYS) !== null;
}

/** The browser clicks a button again and again while Enter is held down. */
function isPressedOn({ repeat, key, target }: KeyboardEvent): boolean {
  return repeat && key === "Enter" && target instanceof Element && !!target.closest("button, a");
}

function goToSearch(): void {
  sidebarOpen.value = true;
  goTo("search");
}

function goToGrid(): void {
  if (view.peek().layout === "map") changeView({ layout: "both" }, "replace");
  goTo("grid");
}

function goTo(id: string): void {
  // What has just been opened is drawn before.
  queueMicrotask(() => document.getElementById(id)?.focus());
}

function act(key: string): boolean {
  if (key === "?") keysOpen.value = true;
  else if (key === "u") return takeBackNewest();
  // In the other rooms nobody sees what is picked, or where the cursor is.
  else if (view.peek().room !== "review") return false;
  else if (key === "/") goToSearch();
  else if (key === "g") goToGrid();
  else if (key === "Escape") return stepBack();
  else return moveOn(key) || actOnTasks(key);
  return true;
}

function moveOn(key: string): boolean {
  const [now, row] = [answer.peek(), focused.peek()];
  if (now && key === "j") step(now, 1);
  else if (now && key === "k") step(now, -1);
  else if (now && key === "m" && row >= 0) moreLike(now.data.points, row);
  else return false;
  return true;
}

function actOnTasks(key: string): boolean {
  const now = atHand();
  if (now.tasks.length === 0 || !mayChange.peek()) return false;
  if (key === "f") performOrAskByKey("flag", now);
  else if (key === "a") ask("approve", now);
  else if (key === "t") ask("tag", now);
  else return false;
  return true;
}

function stepBack(): boolean {
  const { picked, area, similar, cell } = view.peek();
  if (picked.length) changeView({ picked: [] });
  else if (similar) changeView({ similar: null });
  else if (cell) changeView({ cell: null });
  else if (area.length) changeView({ area: [] });
  else return false;
  return true;
}

const MOVES = new Set(["j", "k"]);

export function useKeys(): void {
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (isPressedOn(event)) event.preventDefault();
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isTyping(event.target)) return;
      const key = keyName(event);
      // Held down, a key moves on and on, but acts once.
      if (event.repeat && !MOVES.has(key)) return;
      if (act(key)) event.preventDefault();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}
