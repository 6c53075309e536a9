import type { FeatureName, features, Payloads } from "./generated.ts";

/** What the client has to know of a feature to follow and poll it. */
export interface Feature {
  readonly name: string;
  /** The type of its messages. */
  readonly type: string;
  readonly path: string;
  /** The query parameter that picks one of its streams; "" when it has one. */
  readonly param: string;
  /** The member REST wraps its values in; "" when a stream holds one value. */
  readonly list: string;
  /** The member of its data a newer value must share to replace an older one. Keys sort as text. */
  readonly key: string;
  /** More than 0: it keeps a history, of which so many values are held, and REST pages with since. */
  readonly window: number;
  /** How often it speaks when nothing changes; 0 is on change only. */
  readonly cadenceMs: number;
  readonly private: boolean;
}

type Descriptor<N extends FeatureName> = Extract<(typeof features)[number], { name: N }>;

/** The data of one message of a feature. */
export type PayloadOf<N extends FeatureName> = Payloads[Descriptor<N>["type"]];

/** What a component gets of a feature: one value, or the newest of every key in the order of the keys. */
export type DataOf<N extends FeatureName> = N extends FeatureName
  ? Descriptor<N>["list"] extends ""
    ? PayloadOf<N>
    : readonly PayloadOf<N>[]
  : never;

/** The id of a feature's stream; owner is "" where the feature has one stream. */
export function streamId(feature: string, owner: string): string {
  return owner === "" ? feature : `${feature}:${owner}`;
}

/** The feature and the owner a stream id is made of. */
export function parseStreamId(id: string): { feature: string; owner: string } {
  const colon = id.indexOf(":");
  return colon < 0 ? { feature: id, owner: "" } : { feature: id.slice(0, colon), owner: id.slice(colon + 1) };
}
