import type { FeatureName, PayloadOf, Payloads } from "@thor/client";
import { useEffect, useRef } from "react";
import { useClient } from "./context.ts";

/**
 * Calls the handler with the data of every message of a feature, as it comes,
 * while the feature is rendered from the WebSocket. In shadow it is not called.
 * The type is the message's; a feature has one.
 */
export function useWebSocketFeatureData<N extends FeatureName>(
  feature: N,
  type: keyof Payloads,
  handler: (data: PayloadOf<N>) => void,
): void {
  const client = useClient();
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  const speaks = client.features.some((f) => f.name === feature && f.type === type);
  useEffect(() => {
    if (!speaks) return;
    return client.onData(feature, (data) => latest.current(data));
  }, [client, feature, speaks]);
}
