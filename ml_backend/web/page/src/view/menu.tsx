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
  /** What came of something begun in it: it opens for that, should one have left meanwhile. */
  news?: string;
  children: ComponentChildren;
}

export function Menu({ kind, title, label, button, opened, news, children }: MenuProps) {
  const menu = useRef<HTMLDetailsElement>(null);
  const head = useRef<HTMLElement>(null);
  const close = (goesBack: boolean) => {
    if (!menu.current?.open) return;
    menu.current.open = false;
    if (goesBack) head.current?.focus();
  };
  const leave = (target: EventTarget | null) => {
    // A question is asked over the page, and leads back.
    const asked = target instanceof Element && target.closest("dialog");
    if (target instanceof Node && !asked && !menu.current?.contains(target)) close(false);
  };
  useEffect(() => {
    if (news && menu.current) menu.current.open = true;
  }, [news]);
  useEffect(() => {
    const down = (event: PointerEvent) => leave(event.target);
    addEventListener("pointerdown", down);
    return () => removeEventListener("pointerdown", down);
  }, []);
  const press = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !menu.current?.open) return;
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
