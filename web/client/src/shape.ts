import type { Feature } from "./features.ts";

/** How the values of a feature's stream lie beside each other. */
export interface Shape {
  /** A stream holds one value and no list. */
  single: boolean;
  /** What a newer value replaces. Keys sort as text. */
  key(data: unknown): string;
  /** At most so many values, those of the greatest keys. */
  keep: number;
  /** REST gives the values from a key on: "since". */
  paged: boolean;
  /** Nothing follows this value by cadence: it stands until something happens. */
  settled(data: unknown): boolean;
  /** When the value says itself that it will change, by the source's clock; NaN where it does not. */
  changesAt(data: unknown): number;
}

export function shapeOf(feature: Feature): Shape {
  const single = feature.list === "";
  const history = feature.window > 0;
  return {
    single,
    key: single ? () => "" : (data) => String(member(data, feature.key)),
    keep: history ? feature.window : Number.POSITIVE_INFINITY,
    paged: history,
    changesAt: (data) => Date.parse(String(member(data, "next_event_at"))),
    settled: history ? (data) => member(data, "final") === true : () => feature.cadenceMs === 0,
  };
}

function member(data: unknown, name: string): unknown {
  return (data as Record<string, unknown> | undefined)?.[name];
}
