import type { FeatureName, StageInfo } from "@thor/client";
import { useClient } from "./context.ts";
import { useExternal } from "./useExternal.ts";

/** Where a feature stands; undefined until the server has told. */
export function useStage(feature: FeatureName): StageInfo | undefined {
  return useExternal(useClient().stage(feature));
}
