import type { Environment, SocketHandlers } from "@thor/client";

/** A server in the same process: sockets the test speaks through, and no REST. */
export class FakeServer {
  readonly sockets: SocketHandlers[] = [];
  closed = 0;
  #seq = 1;

  readonly environment: Partial<Environment> = {
    openSocket: (_, handlers) => {
      this.sockets.push(handlers);
      return {
        send: (text) => this.#answer(JSON.parse(text)),
        close: () => this.closed++,
      };
    },
    fetch: () => Promise.reject(new Error("no REST")),
    baseUrl: "http://thor/",
    nextFrame: (run) => queueMicrotask(run),
  };

  say(message: object): Promise<void> {
    this.sockets.at(-1)?.message(JSON.stringify(message));
    return this.settle();
  }

  /** Says hello and sends the balance of account A. */
  connect(stage: string, equity: number): Promise<void> {
    const state = { stage, data_source: stage === "live" ? "ws" : "rest", rev: 1 };
    const data = {
      connection: "c1",
      server_time: new Date().toISOString(),
      heartbeat_ms: 5000,
      resume: true,
      reconnect: { min_ms: 250, max_ms: 15_000, jitter_ms: 5000 },
      source: { name: "sim", simulated: true },
      streams: { "account_balance:A": { cadence_ms: 1000 } },
      features: { account_balance: state, positions: state, intraday: state, global_market: state },
    };
    this.say({ type: "hello", data });
    return this.balance(equity, "A", { snapshot: true, part: 1, parts: 1, at: this.#seq });
  }

  balance(equity: number, account = "A", extra: object = {}): Promise<void> {
    const stream = `account_balance:${account}`;
    const data = { account_id: account, equity };
    return this.say({
      type: "account_balance",
      data,
      stream,
      seq: account === "A" ? this.#seq++ : 1,
      epoch: "e",
      ts: Date.now(),
      ...extra,
    });
  }

  stage(stage: string, rev: number): Promise<void> {
    return this.say({ type: "cutover", data: { feature: "account_balance", stage, rev } });
  }

  settle(ms = 5): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  #answer({ id, streams }: { id: string; streams: string[] }): void {
    const at = streams.map((stream) => [stream, { epoch: "e", seq: this.#seq }]);
    this.sockets.at(-1)?.message(JSON.stringify({ type: "subscribed", id, data: { streams: Object.fromEntries(at) } }));
  }
}
