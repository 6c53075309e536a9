import type { ConnectionState } from "@thor/client";
import { useClient } from "./context.ts";
import { useExternal } from "./useExternal.ts";

/** The state of the WebSocket, with the reason when it is not connected. */
export function useConnection(): ConnectionState {
  return useExternal(useClient().connection);
}
