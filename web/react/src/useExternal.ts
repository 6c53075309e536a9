import type { External } from "@thor/client";
import { useSyncExternalStore } from "react";

/** Follows a value of the client. On a server it is what the client has before it connects. */
export function useExternal<T>(source: External<T>): T {
  return useSyncExternalStore(source.subscribe, source.getSnapshot, source.getSnapshot);
}
