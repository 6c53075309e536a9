import { type Reason, type ReasonCode, reasonOf } from "./reason.ts";
import { type Batch, Cell } from "./store.ts";
import { type Identity, readToken, type TokenSource } from "./token.ts";

/** Whether the server lets this client in, and as whom. */
export type Access =
  /** Nobody was refused. Without a token that is the local operator, or nothing was asked yet. */
  | { status: "open" }
  | { status: "signed_in"; identity: Identity }
  /** Nothing more is asked until somebody connects again. */
  | { status: "refused"; reason: Reason };

/** Times of tokens, in ms. */
const times = {
  /** So long before a token expires, at most, the next is asked for; of a short one a fifth of its time. */
  ahead: 120_000,
  /** A source that gave nothing newer, or failed, is left alone for so long. */
  between: 5000,
};

interface Options {
  source: TokenSource | undefined;
  batch: Batch;
  now(): number;
  /** A time of the server's clock by ours. */
  local(serverMs: number): number;
}

/**
 * Credentials is the client's token: where it comes from, when the next one is
 * due, and whether the server takes it. A client is one person's: a token of
 * somebody else is not used.
 */
export class Credentials {
  readonly access: Cell<Access>;
  readonly #options: Options;
  #token: string | undefined;
  #identity: Identity | undefined;
  readonly #subjects: { claimed?: string; told?: string } = {}; // a server may take another claim than sub
  #renewAt = Number.POSITIVE_INFINITY; // by the server's clock
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<string | undefined> | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.access = new Cell<Access>(options.batch, { status: "open" });
  }

  /** Whether there is a token, or somebody to give one. */
  get configured(): boolean {
    return this.#options.source !== undefined;
  }

  get refused(): boolean {
    return this.access.getSnapshot().status === "refused";
  }

  /** The newest token that was given. */
  get current(): string | undefined {
    return this.#token;
  }

  /** It is time to ask for the next token. */
  due(): boolean {
    if (this.refused || this.#token === undefined) return false;
    const now = this.#options.now();
    return now >= this.#options.local(this.#renewAt) && now - this.#askedAt >= times.between;
  }

  /** The token to use now. It rejects when the source fails and there is none. */
  async token(): Promise<string | undefined> {
    if (this.refused) return undefined;
    if (this.#token !== undefined && !this.due()) return this.#token;
    try {
      return await this.#ask();
    } catch (error) {
      if (this.#token === undefined) throw error;
      return this.#token; // it is good for a while
    }
  }

  /** Another token than the one that was refused; undefined when there is none. */
  async renew(refused: string | undefined): Promise<string | undefined> {
    if (this.refused) return undefined;
    if (this.#token !== refused) return this.#token; // somebody has renewed it meanwhile
    const next = await this.#ask();
    return next === refused ? undefined : next;
  }

  /** Asks for a newer token before it is due. */
  async renewNow(): Promise<void> {
    if (!this.refused) await this.#ask();
  }

  /** The server took the token; what it told of its bearer counts more than what the token says. */
  accepted(told?: { sub: string; roles?: readonly string[] }): void {
    if (told !== undefined && !this.#isOurs("told", told.sub)) return;
    if (this.#token === undefined) {
      if (this.refused) this.access.set({ status: "open" });
      return;
    }
    const claimed = this.#identity ?? { subject: "", roles: [], accounts: [], expiresAt: undefined };
    const subject = this.#subjects.told ?? claimed.subject;
    const roles = told?.roles ?? claimed.roles;
    if (this.#identity === undefined || subject !== claimed.subject || roles.join() !== claimed.roles.join()) {
      this.#identity = { ...claimed, subject, roles };
    }
    const before = this.access.getSnapshot();
    if (before.status === "signed_in" && before.identity === this.#identity) return;
    this.access.set({ status: "signed_in", identity: this.#identity });
  }

  /** The server let nobody in; it says why. */
  refuse(detail: string): void {
    if (this.refused) return;
    this.access.set({ status: "refused", reason: reasonOf(this.#why(detail), detail) });
  }

  /** Somebody tries again: the source may have another token by now. */
  retry(): void {
    if (!this.refused) return;
    this.#token = undefined;
    this.access.set({ status: "open" });
  }

  #why(detail: string): ReasonCode {
    const expiresAt = this.#identity?.expiresAt;
    if (this.#token === undefined) return "unauthorized";
    if (/expired/.test(detail)) return "token_expired";
    const expired = expiresAt !== undefined && this.#options.local(expiresAt) <= this.#options.now();
    return expired ? "token_expired" : "token_refused";
  }

  /** Asks the source, once at a time. */
  #ask(): Promise<string | undefined> {
    this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fetch(): Promise<string | undefined> {
    const { source, now, local } = this.#options;
    this.#askedAt = now();
    const token = typeof source === "function" ? await source() : source;
    if (token === undefined) return this.#token;
    const identity = readToken(token);
    if (identity !== undefined && !this.#isOurs("claimed", identity.subject)) return undefined;
    if (token === this.#token) return token;
    this.#token = token;
    this.#identity = identity;
    const expiresAt = identity?.expiresAt;
    const renewable = typeof source === "function" && expiresAt !== undefined;
    const left = renewable ? Math.max(0, local(expiresAt) - now()) : 0;
    this.#renewAt = renewable ? expiresAt - Math.min(times.ahead, left / 5) : Number.POSITIVE_INFINITY;
    if (this.access.getSnapshot().status === "signed_in") this.accepted();
    return token;
  }

  #isOurs(by: "claimed" | "told", subject: string): boolean {
    this.#subjects[by] ??= subject;
    if (this.#subjects[by] === subject) return true;
    this.access.set({ status: "refused", reason: reasonOf("other_subject") });
    return false;
  }
}
