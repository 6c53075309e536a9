export { ThorClient } from "./client.ts";
export type { Clock } from "./clock.ts";
export type { Access } from "./credentials.ts";
export { getDataSource } from "./current.ts";
export type { Entries, SourceInfo, SymbolEntry } from "./directory.ts";
export { knock, type Welcome } from "./discover.ts";
export {
  type Environment,
  type OpenSocket,
  type Page,
  type Socket,
  type SocketHandlers,
  socketsOf,
} from "./environment.ts";
export type { DataOf, Feature, PayloadOf } from "./features.ts";
export { emptySnapshot, type FeatureSnapshot } from "./feed.ts";
export * from "./generated.ts";
export type { ControlMessage, FeatureFrame, Frame } from "./messages.ts";
export type { ClientOptions } from "./options.ts";
export type { DataSourceLabel } from "./plan.ts";
export type { Reason, ReasonCode } from "./reason.ts";
export type { Reach } from "./rest.ts";
export type { StageInfo } from "./stages.ts";
export type { ConnectionState } from "./state.ts";
export type { External } from "./store.ts";
export type { Version } from "./stream.ts";
export { type Identity, isToken, readToken, type TokenSource } from "./token.ts";
export type { FeatureTraffic } from "./traffic.ts";
export type { FeatureTrouble, FeatureTroubles } from "./troubles.ts";
export type { FeatureView } from "./view.ts";
