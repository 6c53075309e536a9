import type { Reach } from "@thor/client";
import { useClient } from "./context.ts";
import { useExternal } from "./useExternal.ts";

/** Whether the server answers REST requests. */
export function useReach(): Reach {
  return useExternal(useClient().reach);
}
