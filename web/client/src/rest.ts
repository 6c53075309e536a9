import type { Credentials } from "./credentials.ts";
import type { Environment } from "./environment.ts";
import { problemOf } from "./problem.ts";
import { parseCutover, type StageNews } from "./stages.ts";
import { type Batch, Cell } from "./store.ts";
import type { Version } from "./stream.ts";

/**
 * What became of the last request: the server answered, it refused to, or it
 * could not be reached. Unknown is that none has ended since the connection was
 * lost.
 */
export type Reach = "unknown" | "reached" | "refused" | "unreachable";

/** What REST answered. */
export interface Answer {
  status: number;
  /** When it was asked for: it may be as old as that. */
  askedAt: number;
  /** The entity tag as it was sent, for If-None-Match. */
  tag?: string;
  /** The version the tag names. */
  version?: Version;
  cutover?: StageNews;
  /** Seconds since the newest event. */
  age?: number;
  /** The decoded body of a 200. */
  body?: unknown;
  /** What a 401 says, for people. */
  problem?: string;
}

/** A request is given up after this time, in ms. */
const timeout = 10_000;

interface Options {
  env: Environment;
  batch: Batch;
  credentials: Credentials;
  name: string;
  /** Is told when the server answers that could not be reached before. */
  back(): void;
}

/** Rest asks the server's REST API, under the client's name and with its token. */
export class Rest {
  readonly reach: Cell<Reach>;
  readonly #env: Environment;
  readonly #credentials: Credentials;
  readonly #name: string;
  readonly #back: () => void;

  constructor({ env, batch, credentials, name, back }: Options) {
    this.#env = env;
    this.#credentials = credentials;
    this.#name = name;
    this.#back = back;
    this.reach = new Cell<Reach>(batch, "unknown");
  }

  /**
   * Asks for a path. Undefined is no answer: no server, no time, no token, or
   * taken back by the signal. A token that is refused is renewed once.
   */
  async get(path: string, signal: AbortSignal, tag?: string): Promise<Answer | undefined> {
    const tokens = this.#credentials;
    if (!tokens.configured) return this.#ask(path, signal, tag, undefined);
    try {
      const token = await tokens.token();
      if (token === undefined) {
        tokens.refuse("");
        this.#reached("refused");
        return undefined;
      }
      const answer = await this.#ask(path, signal, tag, token);
      if (answer?.status !== 401) return answer;
      const next = await tokens.renew(token);
      const again = next === undefined ? answer : await this.#ask(path, signal, tag, next);
      if (again?.status === 401) tokens.refuse(again.problem ?? "");
      return again;
    } catch {
      return undefined; // there is no token right now
    }
  }

  async #ask(path: string, signal: AbortSignal, tag?: string, token?: string): Promise<Answer | undefined> {
    const request = new AbortController();
    const giveUp = (): void => request.abort();
    signal.addEventListener("abort", giveUp);
    const cancel = this.#env.after(timeout, giveUp);
    const askedAt = this.#env.now();
    try {
      const headers: Record<string, string> = { "Thor-Client": this.#name };
      if (tag !== undefined) headers["If-None-Match"] = tag;
      if (token !== undefined) headers.Authorization = `Bearer ${token}`;
      const url = new URL(path.replace(/^\//, ""), this.#env.baseUrl).href;
      // The tags are ours to keep: a browser's cache would answer in the server's place.
      const response = await this.#env.fetch(url, { headers, cache: "no-store", signal: request.signal });
      const answer = await read(response, askedAt);
      this.#reached(reachOf(response.status));
      if (response.ok) this.#credentials.accepted();
      else if (response.status === 401 && token === undefined) this.#credentials.refuse(answer.problem ?? "");
      return answer;
    } catch {
      if (!signal.aborted) this.#reached("unreachable");
      return undefined;
    } finally {
      cancel();
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** The connection was lost: whether the server still answers has to be seen again. */
  forget(): void {
    this.reach.set("unknown");
  }

  #reached(now: Reach): void {
    const before = this.reach.getSnapshot();
    this.reach.set(now);
    if (now !== "unreachable" && before === "unreachable") this.#back();
  }
}

function reachOf(status: number): Reach {
  if (status === 401 || status === 403) return "refused";
  return status < 500 ? "reached" : "unreachable";
}

async function read(response: Response, askedAt: number): Promise<Answer> {
  const answer: Answer = { status: response.status, askedAt };
  const tag = response.headers.get("ETag");
  const version = parseTag(tag);
  const cutover = parseCutover(response.headers.get("Cutover"));
  const age = response.headers.get("Age");
  if (tag !== null) answer.tag = tag;
  if (version !== undefined) answer.version = version;
  if (cutover !== undefined) answer.cutover = version === undefined ? cutover : { ...cutover, epoch: version.epoch };
  if (age !== null && Number.isFinite(Number(age))) answer.age = Number(age);
  if (response.status === 200) answer.body = await response.json();
  if (response.status === 401) answer.problem = await problemOf(response);
  return answer;
}

/** Reads the version of an entity tag: "stream:epoch-seq", with what part of it behind a semicolon. */
export function parseTag(tag: string | null): Version | undefined {
  const match = /^(?:W\/)?"[^";]*:([^":;]+)-(\d+)(?:;[^"]*)?"$/.exec(tag ?? "");
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return { epoch: match[1], seq: Number(match[2]) };
}
