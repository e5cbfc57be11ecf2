/** What opens under a button of the top bar; Escape closes it. */

import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";

interface MenuProps {
  kind: string;
  /** What the button is, where it does not say it. */
  title?: string;
  label?: string;
  button: ComponentChildren;
  opened?: () => void;
  children: ComponentChildren;
}

export function Menu({ kind, title, label, button, opened, children }: MenuProps) {
  const menu = useRef<HTMLDetailsElement>(null);
  const head = useRef<HTMLElement>(null);
  const close = (event: KeyboardEvent) => {
    // A question that is open over it closes first, by itself.
    const asked = event.target instanceof Element && event.target.closest("dialog");
    if (event.key !== "Escape" || asked || !menu.current?.open) return;
    event.preventDefault();
    menu.current.open = false;
    head.current?.focus();
  };
  return (
    <details
      ref={menu}
      class="menu"
      onKeyDown={close}
      onToggle={(event) => event.currentTarget.open && opened?.()}
    >
      <summary ref={head} class={kind} title={title} aria-label={label}>
        {button}
      </summary>
      <div class="menu-body">{children}</div>
    </details>
  );
}
