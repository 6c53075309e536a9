import type { ReactNode } from "react";
import { setTheme, type ThemeChoice, themeChoices, useThemeChoice } from "../lib/theme.ts";

const names: Record<ThemeChoice, string> = { system: "Auto", dark: "Dark", light: "Light" };

/** Dark, light, or as the system has it. */
export function ThemeSwitch(): ReactNode {
  const choice = useThemeChoice();
  return (
    <fieldset className="switch theme-switch">
      <legend className="visually-hidden">Theme</legend>
      {themeChoices.map((name) => (
        <label key={name}>
          <input type="radio" name="theme" checked={choice === name} onChange={() => setTheme(name)} />
          <span>{names[name]}</span>
        </label>
      ))}
    </fieldset>
  );
}
