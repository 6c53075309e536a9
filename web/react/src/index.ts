"use client";

export { type DataSourceLabel, getDataSource } from "@thor/client";
export { useClient } from "./context.ts";
export { formatAge } from "./formatAge.ts";
export { ThorProvider, type ThorProviderProps } from "./ThorProvider.tsx";
export { useAccess } from "./useAccess.ts";
export { useAge } from "./useAge.ts";
export { useConnection } from "./useConnection.ts";
export { useDirectory } from "./useDirectory.ts";
export { useFeature } from "./useFeature.ts";
export { useNow } from "./useNow.ts";
export { useReach } from "./useReach.ts";
export { useStage } from "./useStage.ts";
export { useTraffic } from "./useTraffic.ts";
export { useView } from "./useView.ts";
export { useWebSocketEnabled } from "./useWebSocketEnabled.ts";
export { useWebSocketFeatureData } from "./useWebSocketFeatureData.ts";
export { WebSocketShadowMonitor } from "./WebSocketShadowMonitor.tsx";
