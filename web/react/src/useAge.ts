import { useNow } from "./useNow.ts";

/** How old something is, in ms, four times a second. Use it in a component of its own: it renders as often. */
export function useAge(asOf: number | undefined): number | undefined {
  const now = useNow(250);
  return asOf === undefined ? undefined : Math.max(0, now - asOf);
}
