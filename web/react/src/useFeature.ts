import type { DataOf, FeatureName, FeatureSnapshot } from "@thor/client";
import { useClient } from "./context.ts";
import { useExternal } from "./useExternal.ts";

/**
 * What to render of a feature: its data, where it comes from, how old it is and
 * whether that is too old. The owner is an account or a symbol, for features
 * that have a stream for each. REST or WebSocket is the server's decision.
 */
export function useFeature<N extends FeatureName>(name: N, owner?: string): FeatureSnapshot<DataOf<N>>;
export function useFeature(name: string, owner?: string): FeatureSnapshot;
export function useFeature(name: string, owner = ""): FeatureSnapshot {
  return useExternal(useClient().feed(name, owner));
}
