import type { Clock } from "./clock.ts";
import type { Environment } from "./environment.ts";
import type { Rest } from "./rest.ts";
import type { Stages } from "./stages.ts";
import type { Batch } from "./store.ts";
import type { Version } from "./stream.ts";
import type { Streams } from "./streams.ts";

/** One side's data and how fresh it is. */
export interface Side {
  data: unknown;
  version: Version | undefined;
  /** When its newest event was committed, by this machine's clock. */
  eventAt: number;
  /** When the server last said that nothing newer exists. */
  confirmedAt: number;
  /** Nothing newer is due by cadence. */
  settled: boolean;
}

/** The state of the connection, as feeds see it. */
export interface Link {
  /** Somebody has started the client. */
  running: boolean;
  connected: boolean;
  /** The first answer of a server is still awaited. */
  starting: boolean;
  /** When connected changed. */
  changedAt: number;
  /** When the page was seen again. */
  wokenAt: number;
}

/** What all feeds share. */
export interface FeedContext {
  env: Environment;
  batch: Batch;
  clock: Clock;
  rest: Rest;
  stages: Stages;
  streams: Streams;
  link: Readonly<Link>;
  /** Is told when what a feed renders may have changed. */
  evaluated(feature: string): void;
}
