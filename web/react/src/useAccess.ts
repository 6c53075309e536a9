import type { Access } from "@thor/client";
import { useClient } from "./context.ts";
import { useExternal } from "./useExternal.ts";

/** Whether the server lets this client in, and as whom. */
export function useAccess(): Access {
  return useExternal(useClient().access);
}
