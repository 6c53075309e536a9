import type { Clock } from "./clock.ts";
import type { Environment } from "./environment.ts";
import { type Feature, parseStreamId } from "./features.ts";
import type { HelloMessage, ReplayInfo } from "./messages.ts";
import { Poller } from "./poller.ts";
import type { Rest } from "./rest.ts";
import { type Batch, Cell } from "./store.ts";

export interface SymbolEntry {
  symbol: string;
  /** The short name for people. */
  display: string;
  country: string;
}

/** Where the server has its data from. */
export interface SourceInfo {
  name: string;
  simulated: boolean;
  /** Its clock is not the wall clock. */
  virtual: boolean;
  speed: number;
  /** The recording that is played; undefined where none is. */
  replay?: ReplayInfo & { over?: boolean };
}

/** What there is for this client. */
export interface Entries {
  accounts: readonly string[];
  /** How people know an account besides its id: the end of the broker's number. Few accounts have one. */
  labels: Readonly<Record<string, string>>;
  symbols: readonly SymbolEntry[];
  /** Undefined until the server has told. */
  source: SourceInfo | undefined;
  version: string | undefined;
}

/** What the client reads of /api/status. */
interface Status {
  version: string;
  source: SourceInfo & { time: string };
}

const refreshEvery = 60_000;

interface Options {
  env: Environment;
  batch: Batch;
  rest: Rest;
  clock: Clock;
  features: readonly Feature[];
  /** Is told after accounts or symbols were added. */
  added(): void;
}

/** Directory finds out which accounts and symbols there are, by REST and from the streams hello names. */
export class Directory {
  readonly entries: Cell<Entries>;
  readonly #options: Options;
  readonly #poller: Poller;

  constructor(options: Options) {
    this.#options = options;
    const nothing: Entries = { accounts: [], labels: {}, symbols: [], source: undefined, version: undefined };
    this.entries = new Cell<Entries>(options.batch, nothing);
    this.#poller = new Poller(
      options.env,
      () => refreshEvery,
      (signal) => this.#ask(signal),
    );
  }

  start(): void {
    this.#poller.set("normal", 0);
  }

  stop(): void {
    this.#poller.stop();
  }

  wake(): void {
    this.#poller.wake();
  }

  /** A connection was made: what may have changed meanwhile is asked for again. */
  hello({ streams, source }: HelloMessage["data"]): void {
    this.#add({ source: { virtual: false, speed: 1, ...this.entries.getSnapshot().source, ...source } });
    this.see(Object.keys(streams));
    this.#poller.hurry(0);
  }

  /** Learns of accounts and symbols from the ids of streams. */
  see(streams: readonly string[]): void {
    const ids = streams.map(parseStreamId);
    const owners = (param: string): string[] => {
      const names = new Set(this.#options.features.filter((f) => f.param === param).map((f) => f.name));
      return ids.filter((id) => names.has(id.feature) && id.owner !== "").map((id) => id.owner);
    };
    this.#add({
      accounts: owners("account_id"),
      symbols: owners("symbol").map((symbol) => ({ symbol, display: symbol, country: "" })),
    });
  }

  /** The ids of all streams these accounts and symbols have. */
  streamIds(): string[] {
    const { accounts, symbols } = this.entries.getSnapshot();
    return this.#options.features.flatMap(({ name, param }) => {
      if (param === "account_id") return accounts.map((account) => `${name}:${account}`);
      if (param === "symbol") return symbols.map(({ symbol }) => `${name}:${symbol}`);
      return [name];
    });
  }

  async #ask(signal: AbortSignal): Promise<boolean> {
    const get = async (path: string): Promise<unknown> => (await this.#options.rest.get(path, signal))?.body;
    const [accounts, symbols, status] = await Promise.all([
      get("/api/accounts").then((body) => listOf<{ account_id: string; label?: string }>(body, "accounts")),
      get("/api/symbols").then((body) => listOf<SymbolEntry>(body, "symbols")),
      get("/api/status") as Promise<Partial<Status> | undefined>,
    ]);
    const news: Partial<Entries> = {
      accounts: accounts.map((entry) => entry.account_id),
      labels: labelsOf(accounts),
      symbols,
    };
    if (status?.source !== undefined) {
      const { name, simulated, virtual, speed, time, replay } = status.source;
      news.version = status.version;
      news.source = { name, simulated, virtual, speed, ...(replay && { replay }) };
      this.#options.clock.setSource(Date.parse(time), speed, virtual);
    }
    this.#add(news);
    // A server that has just begun has nothing yet, and is asked again soon.
    return status?.source !== undefined && accounts.length > 0 && symbols.length > 0;
  }

  #add(news: Partial<Entries>): void {
    const before = this.entries.getSnapshot();
    const known = new Set(before.symbols.map(({ symbol }) => symbol));
    const symbols = new Map(before.symbols.map((entry) => [entry.symbol, entry]));
    for (const entry of news.symbols ?? []) {
      if (entry.country !== "" || !known.has(entry.symbol)) symbols.set(entry.symbol, entry);
    }
    const after: Entries = {
      accounts: [...new Set([...before.accounts, ...(news.accounts ?? [])])].sort(),
      labels: { ...before.labels, ...news.labels },
      symbols: [...symbols.values()].sort((a, b) => (a.symbol < b.symbol ? -1 : 1)),
      source: news.source ?? before.source,
      version: news.version ?? before.version,
    };
    if (JSON.stringify(after) === JSON.stringify(before)) return;
    this.entries.set(after);
    this.#options.added();
  }
}

function labelsOf(accounts: readonly { account_id: string; label?: string }[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const { account_id, label } of accounts) if (label !== undefined) labels[account_id] = label;
  return labels;
}

/** The list in an answer; one that is not there is empty. */
function listOf<T>(body: unknown, member: string): readonly T[] {
  const list = (body as Record<string, unknown> | undefined)?.[member];
  return Array.isArray(list) ? list : [];
}
