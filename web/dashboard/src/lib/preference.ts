import { useCallback, useEffect, useState } from "react";
import { readTab, writeTab } from "./tab.ts";

/** What somebody chose on this browser. Storage may be forbidden or full; then the choice lasts as long as the page. */
export function readPreference(name: string): string | undefined {
  try {
    return localStorage.getItem(`thor.${name}`) ?? undefined;
  } catch {
    return undefined;
  }
}

export function writePreference(name: string, value: string): void {
  try {
    localStorage.setItem(`thor.${name}`, value);
  } catch {
    // It is kept in memory.
  }
}

/** Where a choice is kept: what is somebody's own must not be there for the next. */
export type Keep = "browser" | "tab";

/** A choice that outlives the page. Undefined is no choice yet. */
export function usePreference(name: string, keep: Keep = "browser"): [string | undefined, (value: string) => void] {
  const [value, setValue] = useState(() => (keep === "tab" ? readTab(name) : readPreference(name)));
  const choose = useCallback(
    (next: string): void => {
      setValue(next);
      if (keep === "tab") writeTab(name, next);
      else writePreference(name, next);
    },
    [name, keep],
  );
  return [value, choose];
}

/**
 * A choice among what there is. Without one it is the first that became known,
 * and stays that: nothing that arrives later changes what somebody looks at.
 */
export function useChoice(
  name: string,
  first: string | undefined,
  keep: Keep = "browser",
): [string, (value: string) => void] {
  const [chosen, choose] = usePreference(name, keep);
  useEffect(() => {
    if (chosen === undefined && first !== undefined) choose(first);
  }, [chosen, first, choose]);
  return [chosen ?? first ?? "", choose];
}
