/** Light or dark: as the system says, until a person says otherwise. */

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "relook-theme";

function stored(): Theme {
  const found = localStorage.getItem(KEY);
  return found === "light" || found === "dark" ? found : "system";
}

export const theme = signal<Theme>(stored());

const system = matchMedia("(prefers-color-scheme: dark)");
export const systemDark = signal(system.matches);
system.addEventListener("change", () => {
  systemDark.value = system.matches;
});

export const isDark = (): boolean =>
  theme.value === "dark" || (theme.value === "system" && systemDark.value);

effect(() => {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  if (theme.value === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme.value);
});
