import { Backoff } from "./backoff.ts";
import { closeRule } from "./close.ts";
import type { Credentials } from "./credentials.ts";
import type { Environment, Socket } from "./environment.ts";
import type { AuthCommand, ControlMessage, Frame, SubscribeCommand } from "./messages.ts";
import { authId, isControl, parseMessage } from "./messages.ts";
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

interface ConnectionOptions {
  env: Environment;
  batch: Batch;
  credentials: Credentials;
  /** The name the client gives itself. */
  name: string;
}

/**
 * Connection keeps one WebSocket: it says who it is for, watches for silence,
 * and comes back with jitter for as long as it is started. What the messages
 * mean is its owner's affair.
 */
export class Connection {
  readonly state: Cell<ConnectionState>;
  readonly #env: Environment;
  readonly #credentials: Credentials;
  readonly #name: string;
  readonly #handlers: ConnectionHandlers;
  readonly #backoff: Backoff;
  #jitterMs = times.jitter;
  #staleAfterMs = times.stale;
  #advisedMs: number | undefined;
  #socket: Socket | undefined;
  #opening = 0; // counts attempts: a token that comes late is for another
  #token: string | undefined; // the one the socket was told last
  #refusedToken: string | undefined; // another is to be asked for
  #refusal = ""; // of this socket, in the server's words
  #lastRefusal = ""; // of the one before
  #renewed = false; // a refusal was answered with another token already
  #connectedAt = 0;
  #heardAt = 0;
  #cancelTimer = (): void => {};

  constructor({ env, batch, credentials, name }: ConnectionOptions, handlers: ConnectionHandlers) {
    this.#env = env;
    this.#credentials = credentials;
    this.#name = name;
    this.#handlers = handlers;
    this.#backoff = new Backoff(env.random, times.minBackoff, times.maxBackoff);
    this.state = new Cell<ConnectionState>(batch, { status: "idle" });
  }

  /** Connects, also when a close code said to stop until somebody acts. */
  start(): void {
    this.#backoff.reset();
    this.#renewed = false;
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

  /**
   * Tells the server of a newer token, where there is one or it is time for
   * one, over the connection that stands; and ends it where none is taken.
   */
  async renew(): Promise<void> {
    const tokens = this.#credentials;
    const socket = this.#socket;
    if (!tokens.configured || !this.#stands(socket)) return;
    if (tokens.due()) await tokens.token().catch(() => {}); // the one there is stays good for a while
    if (!this.#stands(socket)) return;
    if (tokens.refused) this.#refuse("");
    else if (tokens.current !== undefined && tokens.current !== this.#token) this.#authenticate(socket, tokens.current);
  }

  #stands(socket: Socket | undefined): socket is Socket {
    return socket !== undefined && socket === this.#socket && this.state.getSnapshot().status === "connected";
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
    this.#cancelTimer();
    this.#socket = undefined;
    this.#token = undefined;
    this.#refusal = "";
    if (!this.#credentials.configured) {
      this.#dial(undefined);
      return;
    }
    const opening = ++this.#opening;
    const refused = this.#refusedToken;
    this.#refusedToken = undefined;
    const asked = refused === undefined ? this.#credentials.token() : this.#credentials.renew(refused);
    asked.then(
      (token) => {
        if (opening !== this.#opening) return;
        if (token === undefined) this.#refuse("");
        else this.#dial(token);
      },
      () => {
        if (opening === this.#opening) this.#wait(this.#backoff.next(), false, "token_unavailable");
      },
    );
  }

  #dial(token: string | undefined): void {
    const { openSocket, baseUrl, now } = this.#env;
    if (openSocket === undefined) return;
    this.#advisedMs = undefined;
    this.#heardAt = now();
    const url = new URL("ws/", baseUrl.replace(/^http/, "ws")).href;
    let current = true;
    const socket = openSocket(url, {
      open: () => {
        if (current && token !== undefined) this.#authenticate(socket, token);
      },
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

  #authenticate(socket: Socket, token: string): void {
    this.#token = token;
    const command: AuthCommand = { type: "auth", id: authId, token, client: this.#name };
    socket.send(JSON.stringify(command));
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
      case "authenticated":
        this.#credentials.accepted(message.data);
        if (this.#credentials.refused) this.#refuse("");
        break;
      case "error":
        if (message.id === authId) this.#refusal = message.data.message;
        break;
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
    this.#opening++;
    this.#socket?.close(4408, reason);
    this.#socket = undefined;
    this.#wait(this.#backoff.next(), false, reason);
  }

  #lost(code: number, reason: string): void {
    const state = this.state.getSnapshot();
    if (state.status === "connected" && this.#env.now() - this.#connectedAt >= times.stable) {
      this.#backoff.reset();
      this.#renewed = false;
    }
    const rule = closeRule(code);
    if (rule.reaction === "stop") {
      this.#apply({ type: "refused", reason: reasonOf(rule.reason, reason) });
      return;
    }
    if (rule.reaction === "renew") {
      this.#renewOnce(this.#refusal || reason);
      return;
    }
    if (rule.reaction === "advised" || this.#advisedMs !== undefined) {
      this.#wait(this.#advisedMs ?? this.#env.random() * this.#jitterMs, true, rule.reason);
      return;
    }
    const atLeast = retryAfter(reason) ?? rule.atLeastMs ?? 0;
    this.#wait(atLeast + this.#backoff.next(), atLeast > 0, this.#lossReason(rule.reason, state));
  }

  /** A token that was refused is answered with another one, once; then somebody has to act. */
  #renewOnce(why: string): void {
    if (this.#token === undefined || this.#renewed) {
      this.#refuse(why);
      return;
    }
    this.#renewed = true;
    this.#refusedToken = this.#token;
    this.#lastRefusal = why;
    this.#apply({ type: "renew" });
  }

  #refuse(why: string): void {
    this.#credentials.refuse(why || this.#lastRefusal);
    const access = this.#credentials.access.getSnapshot();
    this.#apply({ type: "refused", reason: access.status === "refused" ? access.reason : reasonOf("unauthorized") });
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
    this.#opening++;
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
