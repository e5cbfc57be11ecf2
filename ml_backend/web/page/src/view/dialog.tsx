/** A question over the page; Escape and the backdrop answer no. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, close, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const pressed = useRef<EventTarget | null>(null);
  // In the layout, for a key typed before the next frame would be the page's: in front of a
  // question, or for nobody after it.
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    // Closed before it leaves, it gives the focus back to where it was.
    return () => dialog?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: by key, Escape does the same.
    <dialog
      ref={element}
      class="dialog"
      aria-labelledby="dialog-title"
      onCancel={close}
      onPointerDown={(event) => {
        pressed.current = event.target;
      }}
      onClick={({ target, currentTarget }) => {
        // Text that is marked to beyond the edge is let go over the backdrop too.
        if (target === currentTarget && pressed.current === target) close();
      }}
    >
      <div class="dialog-body">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

interface AnswerProps {
  yes: string;
  off: boolean;
  act: () => void;
  close: () => void;
}

/** No, and the one yes. */
export function Answers({ yes, off, act, close }: AnswerProps) {
  return (
    <div class="dialog-answers">
      <button type="button" class="button" onClick={close}>
        Cancel
      </button>
      <button
        type="button"
        class="button button-strong"
        disabled={off}
        onClick={() => {
          act();
          close();
        }}
      >
        {yes}
      </button>
    </div>
  );
}
