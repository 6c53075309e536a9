import type { FeatureTraffic } from "@thor/client";
import { useClient } from "./context.ts";
import { useExternal } from "./useExternal.ts";

/** How many messages came of each feature over the WebSocket, told at most twice a second. */
export function useTraffic(): Readonly<Record<string, FeatureTraffic>> {
  return useExternal(useClient().traffic);
}
