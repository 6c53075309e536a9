import type { FeatureName } from "@thor/client";
import { useView } from "./useView.ts";

/** Reports whether a feature is to be rendered from the WebSocket. False is REST, in fallback too. */
export function useWebSocketEnabled(feature: FeatureName): boolean {
  return useView(feature).dataSource === "ws";
}
