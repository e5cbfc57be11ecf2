/** The bar on top: where one is, which room, how it looks, and who one is. */

import { useState } from "preact/hooks";
import { ROOMS } from "../core/rooms";
import { connected } from "../state/events";
import { keysOpen } from "../state/focus";
import { openProject as project } from "../state/project";
import { changeView, openProject, projectId, view } from "../state/route";
import { session, signOut } from "../state/session";
import { isDark, theme } from "../state/theme";
import { Icon } from "./icons";
import { Menu } from "./menu";
import { ViewsMenu } from "./views_menu";

export function Logo() {
  return (
    <span class="logo">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <circle cx="14" cy="14" r="6.500" />
        <path d="M19 19l6 6" />
      </svg>
      Relook
    </span>
  );
}

export function TopBar() {
  const open = project.value;
  return (
    <header class="top-bar">
      <a
        class="home"
        href="/page/"
        onClick={(event) => {
          event.preventDefault();
          openProject(null);
        }}
      >
        <Logo />
      </a>
      {projectId.value !== null && open && (
        <>
          <h1 class="top-title">
            <a href={open.url} target="_blank" rel="noopener" title="Open in Label Studio">
              <span class="cut">{open.title}</span> <Icon name="open" />
            </a>
          </h1>
          <nav class="rooms" aria-label="Rooms">
            {ROOMS.map(({ room, title }) => (
              <button
                key={room}
                type="button"
                aria-current={view.value.room === room ? "page" : undefined}
                onClick={() => changeView({ room })}
              >
                {title}
              </button>
            ))}
          </nav>
        </>
      )}
      <span class="top-gap" />
      {!connected.value && (
        <span class="offline" role="status">
          Connecting again…
        </span>
      )}
      {projectId.value !== null && open && <ViewsMenu />}
      {projectId.value !== null && (
        <button
          type="button"
          class="tool"
          title="Keys (?)"
          aria-label="Keys"
          onClick={() => {
            keysOpen.value = true;
          }}
        >
          <Icon name="keys" />
        </button>
      )}
      <button
        type="button"
        class="tool"
        title={isDark() ? "Light" : "Dark"}
        aria-label={isDark() ? "Use light colours" : "Use dark colours"}
        onClick={() => {
          theme.value = isDark() ? "light" : "dark";
        }}
      >
        <Icon name={isDark() ? "sun" : "moon"} />
      </button>
      <Person />
    </header>
  );
}

function Person() {
  const [said, setSaid] = useState("");
  const user = session.value?.user;
  if (!user) return null;
  const leave = () => {
    setSaid("");
    signOut().catch((error: Error) => setSaid(error.message));
  };
  const name = user.name || user.email;
  return (
    <Menu
      kind="person"
      title={name}
      label={`Signed in as ${name}`}
      button={name.slice(0, 1).toUpperCase()}
    >
      <p>
        <strong>{name}</strong>
        <br />
        {user.email}
      </p>
      <a href={session.value?.label_studio ?? "/"} target="_blank" rel="noopener">
        Label Studio
      </a>
      <button type="button" class="button" onClick={leave}>
        Sign out
      </button>
      {said && (
        <p class="error" role="alert">
          You are still signed in. {said}
        </p>
      )}
    </Menu>
  );
}
