import { Backoff } from "./backoff.ts";
import { closeRule } from "./close.ts";
import type { Environment, Socket } from "./environment.ts";
import type { ControlMessage, Frame, SubscribeCommand } from "./messages.ts";
import { isControl, parseMessage } from "./messages.ts";
import { type ReasonCode, reasonOf } from "./reason.ts";
import { type ConnectionEvent, type ConnectionState, transition } from "./state.ts";
import { type Batch, Cell } from "./store.ts";

/** Times of the connection, in ms. The server's own values replace them when it has said hello. */
const times = {
  minBackoff: 250,
  maxBackoff: 15_000,
  jitter: 5000,
  /** From opening a socket to hello. */
  handshake: 10_000,
  /** Connected for so long, the next loss begins a new series of attempts. */
  stable: 10_000,
  /** Without any message. */
  stale: 15_000,
  /** For messages that wait in a page that was asleep. */
  wakeGrace: 2000,
};

/** What is told about the connection. */
export interface ConnectionHandlers {
  /** Every message this client knows, in order, with its text. */
  message(message: ControlMessage | Frame, text: string): void;
  /** Every change of state, at once. */
  changed(state: ConnectionState): void;
}

/**
 * Connection keeps one WebSocket: it says hello, watches for silence, and comes
 * back with jitter for as long as it is started. What the messages mean is its
 * owner's affair.
 */
export class Connection {
  readonly state: Cell<ConnectionState>;
  readonly #env: Environment;
  readonly #handlers: ConnectionHandlers;
  readonly #backoff: Backoff;
  #jitterMs = times.jitter;
  #staleAfterMs = times.stale;
  #advisedMs: number | undefined;
  #socket: Socket | undefined;
  #connectedAt = 0;
  #heardAt = 0;
  #cancelTimer = (): void => {};

  constructor(env: Environment, batch: Batch, handlers: ConnectionHandlers) {
    this.#env = env;
    this.#handlers = handlers;
    this.#backoff = new Backoff(env.random, times.minBackoff, times.maxBackoff);
    this.state = new Cell<ConnectionState>(batch, { status: "idle" });
  }

  /** Connects, also when a close code said to stop until somebody acts. */
  start(): void {
    this.#backoff.reset();
    if (this.#env.openSocket === undefined) {
      this.#apply({ type: "start" });
      this.#apply({ type: "refused", reason: reasonOf("no_websocket") });
      return;
    }
    this.#apply({ type: "start" });
  }

  stop(): void {
    this.#apply({ type: "stop" });
  }

  /** Says that the page is seen again or the network is back: no reason to wait on. */
  wake(): void {
    this.#apply({ type: "wake" });
    if (this.#socket !== undefined) this.#checkSilence();
  }

  /** Sends a command; false when there is no connection. */
  send(command: SubscribeCommand): boolean {
    if (this.state.getSnapshot().status !== "connected" || this.#socket === undefined) return false;
    this.#socket.send(JSON.stringify(command));
    return true;
  }

  #apply(event: ConnectionEvent): void {
    const before = this.state.getSnapshot();
    const after = transition(before, event);
    if (after === before) return;
    this.state.set(after);
    switch (after.status) {
      case "connecting":
        this.#open();
        break;
      case "connected":
        this.#connectedAt = this.#env.now();
        break;
      case "waiting":
        this.#drop();
        this.#timer(after.retryAt - this.#env.now(), () => this.#apply({ type: "retry" }));
        break;
      case "idle":
      case "closed":
        this.#drop();
        break;
      default:
        after satisfies never;
    }
    this.#handlers.changed(after);
  }

  #open(): void {
    const { openSocket, baseUrl, now } = this.#env;
    if (openSocket === undefined) return;
    this.#advisedMs = undefined;
    this.#heardAt = now();
    const url = new URL("ws/", baseUrl.replace(/^http/, "ws")).href;
    let current = true;
    const socket = openSocket(url, {
      message: (text) => {
        if (current) this.#receive(text);
      },
      close: (code, reason) => {
        if (current) this.#lost(code, reason);
      },
    });
    this.#socket = {
      send: (text) => socket.send(text),
      close: (code, reason) => {
        current = false; // a dead socket may take minutes to report its close
        socket.close(code, reason);
      },
    };
    this.#timer(times.handshake, () => this.#retire("timeout"));
  }

  #receive(text: string): void {
    this.#heardAt = this.#env.now();
    const message = parseMessage(text);
    if (message === undefined) return;
    if (isControl(message)) this.#control(message);
    this.#handlers.message(message, text);
  }

  /** Takes from a message what concerns the connection itself. */
  #control(message: ControlMessage): void {
    switch (message.type) {
      case "hello": {
        const { reconnect, heartbeat_ms, connection } = message.data;
        this.#backoff.setBounds(reconnect.min_ms, reconnect.max_ms);
        this.#jitterMs = reconnect.jitter_ms;
        this.#staleAfterMs = 3 * heartbeat_ms;
        this.#apply({ type: "hello", connection });
        this.#watchSilence(this.#staleAfterMs);
        break;
      }
      case "heartbeat":
        this.#staleAfterMs = message.data.stale_after_ms;
        break;
      case "server_shutdown":
        this.#advisedMs = message.data.reconnect_in_ms;
        break;
      default: // the others are not about the connection
    }
  }

  /** Looks for silence when it may have come. A timer that fires late has slept with the page: messages may wait. */
  #watchSilence(inMs: number): void {
    const due = this.#env.now() + inMs;
    this.#timer(inMs, () => {
      if (this.#env.now() - due > times.wakeGrace / 2) this.#watchSilence(times.wakeGrace);
      else this.#checkSilence();
    });
  }

  #checkSilence(): void {
    if (this.state.getSnapshot().status !== "connected") return;
    const left = this.#heardAt + this.#staleAfterMs - this.#env.now();
    if (left <= 0) this.#retire("silent");
    else this.#watchSilence(left);
  }

  /** Gives a socket up that does not speak, and opens the next. */
  #retire(reason: ReasonCode): void {
    this.#socket?.close(4408, reason);
    this.#socket = undefined;
    this.#wait(this.#backoff.next(), false, reason);
  }

  #lost(code: number, reason: string): void {
    const state = this.state.getSnapshot();
    if (state.status === "connected" && this.#env.now() - this.#connectedAt >= times.stable) this.#backoff.reset();
    const rule = closeRule(code);
    if (rule.reaction === "stop") {
      this.#apply({ type: "refused", reason: reasonOf(rule.reason) });
      return;
    }
    if (rule.reaction === "advised" || this.#advisedMs !== undefined) {
      this.#wait(this.#advisedMs ?? this.#env.random() * this.#jitterMs, true, rule.reason);
      return;
    }
    const atLeast = rule.atLeastMs === undefined ? 0 : (retryAfter(reason) ?? rule.atLeastMs);
    this.#wait(atLeast + this.#backoff.next(), atLeast > 0, this.#lossReason(rule.reason, state));
  }

  /** A socket that never spoke was not lost: there was nobody. */
  #lossReason(reason: ReasonCode, state: ConnectionState): ReasonCode {
    if (reason !== "lost") return reason;
    if (!this.#env.page.online()) return "offline";
    return state.status === "connecting" ? "unreachable" : "lost";
  }

  #wait(ms: number, advised: boolean, reason: ReasonCode): void {
    const retryAt = this.#env.now() + ms;
    this.#apply({ type: "lost", attempt: this.#backoff.attempt, retryAt, advised, reason: reasonOf(reason) });
  }

  #drop(): void {
    this.#cancelTimer();
    this.#socket?.close(1000, "");
    this.#socket = undefined;
  }

  /** There is one timer: for hello, for silence, or for the next attempt. */
  #timer(ms: number, run: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#env.after(Math.max(0, ms), run);
  }
}

/** The seconds a close reason asks for, as "retry_after=10", in ms. */
function retryAfter(reason: string): number | undefined {
  const seconds = /retry_after=(\d+)/.exec(reason)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
