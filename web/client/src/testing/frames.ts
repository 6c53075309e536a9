import type { DataSource, Stage } from "../generated.ts";

export const epoch = "e1";

/** The stages of all features, with one that is told apart. */
function featuresOf(feature: string, stage: Stage, dataSource: DataSource, rev: number): object {
  const other = { stage: "shadow", data_source: "rest", rev: 1 };
  const all = { account_balance: other, positions: other, intraday: other, global_market: other };
  return { ...all, [feature]: { stage, data_source: dataSource, rev } };
}

interface HelloOptions {
  streams?: readonly string[];
  feature?: string;
  stage?: Stage;
  dataSource?: DataSource;
  rev?: number;
}

export function hello(options: HelloOptions = {}): object {
  const { streams = ["account_balance:A"], feature = "account_balance", stage = "shadow", rev = 1 } = options;
  const dataSource = options.dataSource ?? (["live", "rampdown", "complete"].includes(stage) ? "ws" : "rest");
  const cadence = (id: string) => (id === "global_market" ? 0 : 1000);
  return {
    type: "hello",
    data: {
      connection: "c1",
      server_time: new Date().toISOString(),
      heartbeat_ms: 5000,
      resume: true,
      reconnect: { min_ms: 250, max_ms: 15_000, jitter_ms: 5000 },
      source: { name: "sim", simulated: true },
      streams: Object.fromEntries(streams.map((id) => [id, { cadence_ms: cadence(id) }])),
      features: featuresOf(feature, stage, dataSource, rev),
    },
  };
}

/** The answer to a subscribe: every stream at a seq. */
export function subscribed(
  request: { id: string; streams: readonly string[] } | undefined,
  seq: number,
  recovered = false,
): object {
  const streams = (request?.streams ?? []).map((id) => [id, { epoch, seq, ...(recovered ? { recovered } : {}) }]);
  return { type: "subscribed", id: request?.id, data: { streams: Object.fromEntries(streams) } };
}

export function balance(seq: number, equity: number, extra: object = {}): object {
  const data = { account_id: "A", currency: "USD", equity, timestamp: "2026-11-23T15:30:00Z" };
  return { type: "account_balance", data, stream: "account_balance:A", seq, epoch, ts: Date.now(), ...extra };
}

/** A snapshot of a stream with one value. */
export function balanceSnapshot(seq: number, equity: number, extra: object = {}): object {
  return balance(seq, equity, { snapshot: true, part: 1, parts: 1, at: seq, ...extra });
}

export function bar(seq: number, minute: string, close: number, extra: object = {}): object {
  const data = { symbol: "S", timestamp_minute: `2026-11-23T${minute}:00Z`, close, final: false, timestamp: "" };
  return { type: "intraday_bar", data, stream: "intraday:S", seq, epoch, ts: Date.now(), ...extra };
}

/** A part of the snapshot of the markets. */
export function market(seq: number, id: string, status: string, extra: object): object {
  const data = { market_id: id, status };
  return { type: "market_status", data, stream: "global_market", seq, epoch, ts: Date.now(), snapshot: true, ...extra };
}

export function heartbeat(streams: Record<string, { seq: number }> = {}): object {
  const tips = Object.entries(streams).map(([id, { seq }]) => [id, { seq, age_ms: 0, cadence_ms: 1000 }]);
  const data = {
    timestamp: new Date().toISOString(),
    heartbeat_count: 1,
    interval_ms: 5000,
    stale_after_ms: 15_000,
    active_jobs: 4,
    streams: Object.fromEntries(tips),
  };
  return { type: "heartbeat", data, ts: Date.now() };
}

export function cutover(feature: string, stage: Stage, rev: number, extra: object = {}): object {
  const data = { feature, stage, rev, weight: 0, reason: "", since: "2026-11-23T15:30:00Z" };
  return { type: "cutover", data, stream: "cutover", seq: rev, epoch, ts: Date.now(), ...extra };
}

interface RestOptions {
  stage?: Stage;
  dataSource?: DataSource;
  rev?: number;
  seq?: number;
  age?: number;
  equity?: number;
  forced?: boolean;
}

/** What REST answers for the balance of account A. */
export function restBalance(options: RestOptions = {}): Response {
  const { stage = "shadow", dataSource = "rest", rev = 1, seq = 1, age = 0, equity = 100, forced = false } = options;
  const headers = {
    ETag: `"account_balance:A:${epoch}-${seq}"`,
    Age: String(age),
    Cutover: `stage=${stage}, data_source=${dataSource}, rev=${rev}${forced ? ", forced" : ""}`,
  };
  const body = { account_id: "A", currency: "USD", equity, timestamp: "2026-11-23T15:30:00Z" };
  return new Response(JSON.stringify(body), { status: 200, headers });
}

/** A token for somebody; it expires in so many seconds. */
export function tokenFor(sub: string, seconds: number, note = ""): string {
  const part = (value: object): string => btoa(JSON.stringify(value)).replaceAll("=", "").replaceAll("+", "-");
  const exp = Math.floor(Date.now() / 1000) + seconds;
  return `${part({ alg: "HS256" })}.${part({ sub, exp, roles: ["viewer"], accounts: ["A"], note })}.c2lnbmVk`;
}

/** The answer to auth. */
export function authenticated(sub: string): object {
  return { type: "authenticated", id: "auth", data: { sub } };
}
