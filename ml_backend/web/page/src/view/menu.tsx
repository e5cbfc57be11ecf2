/** What opens under a button of the top bar, until one turns to something else. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

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
  const close = (goesBack: boolean) => {
    if (!menu.current?.open) return;
    menu.current.open = false;
    if (goesBack) head.current?.focus();
  };
  const leave = (target: EventTarget | null) => {
    if (target instanceof Node && !menu.current?.contains(target)) close(false);
  };
  useEffect(() => {
    const down = (event: PointerEvent) => leave(event.target);
    addEventListener("pointerdown", down);
    return () => removeEventListener("pointerdown", down);
  }, []);
  const press = (event: KeyboardEvent) => {
    // A question that is open over it closes first, by itself.
    const asked = event.target instanceof Element && event.target.closest("dialog");
    if (event.key !== "Escape" || asked || !menu.current?.open) return;
    event.preventDefault();
    close(true);
  };
  // A button that is the end of what one came for says so.
  const chosen = ({ target }: MouseEvent) => {
    if (target instanceof Element && target.closest("[data-closes]")) close(true);
  };
  return (
    <details
      ref={menu}
      class="menu"
      onKeyDown={press}
      onFocusOut={(event) => leave(event.relatedTarget)}
      onClick={chosen}
      onToggle={(event) => event.currentTarget.open && opened?.()}
    >
      <summary ref={head} class={kind} title={title} aria-label={label}>
        {button}
      </summary>
      <div class="menu-body">{children}</div>
    </details>
  );
}
