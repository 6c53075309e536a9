import type { ThorClient } from "./client.ts";
import type { DataSourceLabel } from "./plan.ts";

let current: ThorClient | undefined;

/** Makes a client the one that functions without a client ask: the one that was started last. */
export function remember(client: ThorClient): void {
  current = client;
}

export function forget(client: ThorClient): void {
  if (current === client) current = undefined;
}

/**
 * Where a feature is rendered from, as people read it: of the client that was
 * started last, "None" without one.
 */
export function getDataSource(feature: string): DataSourceLabel {
  return current?.getDataSource(feature) ?? "None";
}
