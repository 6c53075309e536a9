import type { DataSource, FeatureStage, Heartbeat, Payloads, Stage } from "./generated.ts";

/** A numbered message of a stream. */
export interface Frame<T extends string = string, D = unknown> {
  type: T;
  data: D;
  stream: string;
  seq: number;
  epoch: string;
  /** When the event was committed, by the server's wall clock, in ms. */
  ts: number;
  /** A snapshot is a run of parts; the last one says the version after it. */
  snapshot?: true;
  part?: number;
  parts?: number;
  at?: number;
}

/** The frames of the features this build knows, told apart by type. */
export type FeatureFrame = { [T in keyof Payloads]: Frame<T, Payloads[T]> }[keyof Payloads];

/**
 * A change of stage. What a force does is not an event and has no number:
 * forced says whether it stands, and the stage is the one in effect.
 */
export interface CutoverMessage extends Partial<Omit<Frame, "type" | "data">> {
  type: "cutover";
  data: FeatureStage & { forced?: boolean };
}

/** A recording that is played as if it were now. */
export interface ReplayInfo {
  /** The source that was recorded. */
  of: string;
  from: string;
  to: string;
}

export interface HelloMessage {
  type: "hello";
  data: {
    connection: string;
    server_time: string;
    heartbeat_ms: number;
    resume: boolean;
    reconnect: { min_ms: number; max_ms: number; jitter_ms: number };
    source: { name: string; simulated: boolean; replay?: ReplayInfo };
    streams: Record<string, { cadence_ms: number }>;
    features: Record<string, { stage: Stage; data_source: DataSource; rev: number; forced?: boolean }>;
  };
}

/** The answer to auth. */
export interface AuthenticatedMessage {
  type: "authenticated";
  data: { sub: string; roles?: readonly string[] };
}

export interface SubscribedMessage {
  type: "subscribed";
  id?: string | number;
  data: { streams: Record<string, { epoch: string; seq: number; recovered?: boolean; replayed?: number }> };
}

export interface GapMessage {
  type: "gap";
  data: { stream: string; from: number; to: number; reason: string };
}

export interface ResetMessage {
  type: "reset";
  data: { stream: string; epoch: string; reason: "epoch_changed" | "off" };
}

export interface AssignmentMessage {
  type: "assignment";
  data: { feature: string; data_source: DataSource; rev: number };
}

/** Streams speak more or less often from now on. */
export interface CadenceMessage {
  type: "cadence";
  data: { streams: Record<string, { cadence_ms: number }> };
}

export interface ErrorMessage {
  type: "error";
  id?: string | number;
  data: { code: string; message: string; retryable: boolean };
}

export interface ServerShutdownMessage {
  type: "server_shutdown";
  data: { reconnect_in_ms: number };
}

export interface PongMessage {
  type: "pong";
  ts: number;
}

export interface HeartbeatMessage {
  type: "heartbeat";
  data: Heartbeat;
  ts: number;
}

/** What the server says besides the frames of features. */
export type ControlMessage =
  | HelloMessage
  | AuthenticatedMessage
  | SubscribedMessage
  | GapMessage
  | ResetMessage
  | AssignmentMessage
  | CadenceMessage
  | ErrorMessage
  | ServerShutdownMessage
  | PongMessage
  | HeartbeatMessage
  | CutoverMessage;

/** What the client says. */
export interface SubscribeCommand {
  type: "subscribe";
  id: string;
  client: string;
  streams: string[];
  resume: Record<string, { epoch: string; seq: number }>;
}

/** A token: the first message where the server has a key, and again when there is a newer one. */
export interface AuthCommand {
  type: "auth";
  id: typeof authId;
  token: string;
  client: string;
}

/** The id of auth commands; those of subscribes are numbers. */
export const authId = "auth";

const controlTypes: Record<ControlMessage["type"], true> = {
  hello: true,
  authenticated: true,
  subscribed: true,
  gap: true,
  reset: true,
  assignment: true,
  cadence: true,
  error: true,
  server_shutdown: true,
  pong: true,
  heartbeat: true,
  cutover: true,
};

/** Reports whether a message is one of the server's own rather than a feature's frame. */
export function isControl(message: ControlMessage | Frame): message is ControlMessage {
  return message.type in controlTypes;
}

/** Reads a message. Undefined is one this client does not know and must ignore. */
export function parseMessage(text: string): ControlMessage | Frame | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined; // the server never sends it; a proxy may
  }
  if (!isObject(message) || typeof message.type !== "string") return undefined;
  if (message.type in controlTypes) {
    const complete = message.type === "pong" || isObject(message.data);
    return complete ? (message as unknown as ControlMessage) : undefined;
  }
  const numbered =
    typeof message.stream === "string" &&
    typeof message.seq === "number" &&
    typeof message.epoch === "string" &&
    typeof message.ts === "number" &&
    "data" in message;
  return numbered ? (message as unknown as Frame) : undefined;
}

/** The text of a frame's data as it was sent: parsed numbers have lost their digits. */
export function rawData(text: string): string {
  const from = text.indexOf('"data":') + '"data":'.length;
  const to = text.lastIndexOf(',"stream":"');
  return text.slice(from, to < from ? text.length - 1 : to);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
