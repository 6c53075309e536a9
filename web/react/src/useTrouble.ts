import type { FeatureTrouble } from "@thor/client";
import { useClient } from "./context.ts";
import { useExternal } from "./useExternal.ts";

/**
 * Why nothing new comes of a feature; undefined while nothing is known to be
 * wrong. The server is asked for as long as something uses this: use it where
 * data is stale or missing, and not beside data that comes.
 */
export function useTrouble(feature: string): FeatureTrouble | undefined {
  return useExternal(useClient().troubles)[feature];
}
