import type { Entries } from "@thor/client";
import { useClient } from "./context.ts";
import { useExternal } from "./useExternal.ts";

/** The accounts and symbols there are, and where the server has its data from. */
export function useDirectory(): Entries {
  return useExternal(useClient().directory);
}
