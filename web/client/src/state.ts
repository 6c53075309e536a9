import type { Reason } from "./reason.ts";

/** Where a connection stands. */
export type ConnectionState =
  | { status: "idle" }
  | { status: "connecting"; attempt: number }
  | { status: "connected"; connection: string }
  /** It comes back at retryAt. An advised time is the server's and is not cut short. */
  | { status: "waiting"; attempt: number; retryAt: number; advised: boolean; reason: Reason }
  /** It stays away until somebody starts it again. */
  | { status: "closed"; reason: Reason };

/** What happens to a connection. */
export type ConnectionEvent =
  | { type: "start" }
  | { type: "stop" }
  | { type: "hello"; connection: string }
  | { type: "lost"; attempt: number; retryAt: number; advised: boolean; reason: Reason }
  | { type: "refused"; reason: Reason }
  | { type: "retry" }
  /** The token was refused: another is asked for. */
  | { type: "renew" }
  | { type: "wake" };

type Status = ConnectionState["status"];
type Of<U extends { [K in D]: string }, D extends keyof U, T> = Extract<U, { [K in D]: T }>;
type Transitions = {
  [S in Status]: {
    [E in ConnectionEvent["type"]]?: (
      state: Of<ConnectionState, "status", S>,
      event: Of<ConnectionEvent, "type", E>,
    ) => ConnectionState;
  };
};

const idle = (): ConnectionState => ({ status: "idle" });
const connect = (): ConnectionState => ({ status: "connecting", attempt: 0 });
const reconnect = (state: { attempt: number }): ConnectionState => ({ status: "connecting", attempt: state.attempt });
const wait = (_: unknown, { attempt, retryAt, advised, reason }: Of<ConnectionEvent, "type", "lost">) =>
  ({ status: "waiting", attempt, retryAt, advised, reason }) satisfies ConnectionState;
const close = (_: unknown, { reason }: Of<ConnectionEvent, "type", "refused">) =>
  ({ status: "closed", reason }) satisfies ConnectionState;

/** Every transition there is; what is not in the table changes nothing. */
const transitions: Transitions = {
  idle: { start: connect },
  connecting: {
    stop: idle,
    renew: connect,
    hello: (_, { connection }) => ({ status: "connected", connection }),
    lost: wait,
    refused: close,
  },
  connected: { stop: idle, renew: connect, lost: wait, refused: close },
  waiting: {
    stop: idle,
    retry: reconnect,
    start: connect,
    wake: (state) => (state.advised ? state : reconnect(state)),
  },
  closed: { stop: idle, start: connect },
};

/** The state after an event; the same reference when nothing changes. */
export function transition(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  // The table pairs states and events by their names, which the types cannot follow through an index.
  const step = transitions[state.status][event.type] as
    | ((state: ConnectionState, event: ConnectionEvent) => ConnectionState)
    | undefined;
  return step === undefined ? state : step(state, event);
}
