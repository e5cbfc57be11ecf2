/** Notes on actions: how far they are, how they ended, and the way back. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { ActionState } from "../api/contract";
import { hasEnded, newsOf, titleOf } from "../core/action_titles";
import { count } from "../core/format";
import { actions, dismiss, isOthers, notes, takeBack } from "../state/actions";
import { mayChange } from "../state/project";
import { Icon } from "./icons";

export function Toasts() {
  return (
    <div class="toasts">
      <News />
      {notes.value.map((action) => (
        <Toast key={action.id} action={action} />
      ))}
    </div>
  );
}

/** For who does not see the notes: progress that was said aloud would never end. */
function News() {
  const now = actions.value;
  const before = useRef<readonly ActionState[]>([]);
  const [news, setNews] = useState("");
  useEffect(() => {
    const found = newsOf(before.current, now);
    before.current = now;
    if (found.length > 0) setNews(found.join(" "));
  }, [now]);
  return (
    <p class="hidden" role="status">
      {news}
    </p>
  );
}

function Toast({ action }: { action: ActionState }) {
  const title = titleOf(action);
  return (
    // Its style lets it fade once it is done and nobody is at it.
    <div
      class={`toast toast-${action.state}`}
      onAnimationEnd={(event) => event.target === event.currentTarget && dismiss(action)}
    >
      <div class="toast-head">
        <strong>{title}</strong>
        {action.undoable && mayChange.value && (
          <button type="button" class="button" onClick={() => void takeBack(action)}>
            <Icon name="undo" /> Undo
          </button>
        )}
        <button type="button" class="tool" aria-label="Dismiss" onClick={() => dismiss(action)}>
          <Icon name="close" />
        </button>
      </div>
      {isOthers(action) && <p>By {action.by}</p>}
      {action.said && <p>{action.said}</p>}
      {!hasEnded(action) && (
        <>
          <progress max={Math.max(action.total, 1)} value={action.done} aria-label={title} />
          {action.total > 0 && (
            <p>
              {count(action.done)} of {count(action.total)}
            </p>
          )}
        </>
      )}
    </div>
  );
}
