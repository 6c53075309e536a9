import type { FeatureView } from "@thor/client";
import { useClient } from "./context.ts";
import { useExternal } from "./useExternal.ts";

/** Where a whole feature is rendered from, and its label. */
export function useView(feature: string): FeatureView {
  return useExternal(useClient().view(feature));
}
