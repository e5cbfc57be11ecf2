/** Nothing there, on its way, or gone wrong: each says what to do next. */

import type { ComponentChildren } from "preact";

interface Words {
  title: string;
  children?: ComponentChildren;
}

export function Empty({ title, children }: Words) {
  return (
    <div class="state">
      <h2>{title}</h2>
      <div class="state-next">{children}</div>
    </div>
  );
}

export function Waiting({ title }: { title: string }) {
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>{title}</p>
    </div>
  );
}

interface FailedProps {
  title: string;
  message: string;
  retry?: () => void;
  /** What else can be done. */
  children?: ComponentChildren;
}

export function Failed({ title, message, retry, children }: FailedProps) {
  return (
    <div class="state state-failed" role="alert">
      <h2>{title}</h2>
      <p>{message}</p>
      {retry && (
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      )}
      {children}
    </div>
  );
}
