import { useSyncExternalStore } from "react";
import { readPreference, writePreference } from "./preference.ts";

export type ThemeChoice = "system" | "dark" | "light";

export const themeChoices: readonly ThemeChoice[] = ["system", "dark", "light"];

const listeners = new Set<() => void>();
const systemDark = matchMedia("(prefers-color-scheme: dark)");
let choice: ThemeChoice = themeChoices.find((c) => c === readPreference("theme")) ?? "system";

function apply(): void {
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  for (const listener of [...listeners]) listener();
}

systemDark.addEventListener("change", apply);
apply();

export function setTheme(next: ThemeChoice): void {
  choice = next;
  writePreference("theme", next);
  apply();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** What was chosen. */
export function useThemeChoice(): ThemeChoice {
  return useSyncExternalStore(subscribe, () => choice);
}

/** What is shown: for what cannot follow a style sheet by itself, as a canvas. */
export function useDark(): boolean {
  return useSyncExternalStore(subscribe, () => (choice === "system" ? systemDark.matches : choice === "dark"));
}
