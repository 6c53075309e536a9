import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ThorClient } from "./client.ts";
import type { Stage } from "./generated.ts";
import type { DataSourceLabel } from "./plan.ts";
import {
  balance,
  balanceSnapshot,
  bar,
  cutover,
  heartbeat,
  hello,
  market,
  restBalance,
  subscribed,
} from "./testing/frames.ts";
import { pass, World } from "./testing/world.ts";

const path = "/api/account/balance";

let world: World;
let client: ThorClient;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_795_000_000_000 });
  world = new World();
  client = new ThorClient({ name: "me", environment: world.environment, shadowLog: false });
});
afterEach(() => vi.useRealTimers());

const feed = () => client.feed("account_balance", "A");
const label = (): DataSourceLabel => feed().getSnapshot().label;
const equity = (): number | null | undefined => feed().getSnapshot().data?.equity;
const render = (): (() => void) => feed().subscribe(() => {});

/** REST answers for one feature, at a seq that rises every second, and knows nothing of the others. */
function serveREST(stage: Stage, rev = 1, firstSeq = 1): void {
  const from = Date.now();
  world.answer = (asked, tag) => {
    if (!asked.startsWith(path)) return new Response("{}", { status: 404 });
    if (stage === "complete") {
      return new Response("{}", { status: 410, headers: { Cutover: `stage=complete, data_source=ws, rev=${rev}` } });
    }
    const seq = firstSeq + Math.floor((Date.now() - from) / 1000);
    const answer = restBalance({ stage, rev, seq, equity: 1000 + seq, dataSource: wants(stage) });
    return tag === answer.headers.get("ETag") ? new Response(null, { status: 304, headers: answer.headers }) : answer;
  };
}

/** What a force says: it has no number. */
function forced(stage: Stage, rev: number, stands: boolean): object {
  const data = { feature: "account_balance", stage, rev, weight: 0, reason: "", since: "", forced: stands };
  return { type: "cutover", data };
}

const wants = (stage: Stage) => (stage === "off" || stage === "shadow" || stage === "canary" ? "rest" : "ws");

/** Connects in a stage, with the stream at a seq. */
function connect(stage: Stage, seq = 1, dataSource: "rest" | "ws" = wants(stage), rev = 1): void {
  const streams = stage === "off" ? [] : ["account_balance:A"];
  world.socket.say(hello({ stage, dataSource, rev, streams }));
  if (stage === "off") return;
  world.socket.say(subscribed(world.socket.sent[0], seq), balanceSnapshot(seq, 1000 + seq));
}

/** Keeps the connection speaking for a while, with or without the stream. */
async function speak(seconds: number, fromSeq?: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    await pass(1000);
    if (i % 5 === 0) world.socket.say(heartbeat());
    if (fromSeq !== undefined) world.socket.say(balance(fromSeq + i, 1000 + fromSeq + i));
  }
}

describe("label and polling in each stage", () => {
  // Requests in a minute and a half, after the first twenty seconds.
  const rows: [Stage, "rest" | "ws", "connected" | "disconnected", DataSourceLabel, number, number][] = [
    ["off", "rest", "connected", "REST", 89, 91],
    ["off", "rest", "disconnected", "REST", 89, 91],
    ["shadow", "rest", "connected", "REST (Shadow)", 89, 91],
    ["shadow", "rest", "disconnected", "REST (Shadow)", 89, 91],
    ["canary", "rest", "connected", "REST (Canary)", 89, 91],
    ["canary", "rest", "disconnected", "REST (Canary)", 89, 91],
    ["canary", "ws", "connected", "WebSocket", 89, 91],
    ["live", "ws", "connected", "WebSocket", 1, 2],
    ["live", "ws", "disconnected", "REST (Fallback)", 89, 91],
    ["rampdown", "ws", "connected", "WebSocket", 0, 0],
    ["rampdown", "ws", "disconnected", "REST (Fallback)", 0, 0],
    ["complete", "ws", "connected", "WebSocket", 0, 0],
    ["complete", "ws", "disconnected", "WebSocket", 0, 0],
  ];
  it.each(rows)("%s, to render %s, %s: %s", async (stage, dataSource, link, expected, least, most) => {
    serveREST(stage);
    if (dataSource === "ws" && stage === "canary") {
      world.answer = () => restBalance({ stage, dataSource, seq: 1 });
    }
    client.start();
    render();
    connect(stage, 1, dataSource);
    await speak(5, stage === "off" ? undefined : 2);
    if (link === "disconnected") {
      world.environment.openSocket = undefined;
      world.sockets[0]?.end(4409);
      await pass(15_000);
      const before = world.asked(path);
      await pass(90_000);
      expectBetween(world.asked(path) - before, least, most);
    } else {
      await speak(15, 7);
      const before = world.asked(path);
      await speak(90, 22);
      expectBetween(world.asked(path) - before, least, most);
    }
    expect(label()).toBe(expected);
  });

  it("rampdown asks REST once for every time it falls back", async () => {
    serveREST("rampdown");
    client.start();
    render();
    connect("rampdown");
    await speak(5, 2);
    expect(world.asked(path)).toBe(0);
    world.sockets[0]?.end(4409);
    await pass(30_000);
    expect(world.asked(path)).toBe(1);
    client.reconnect();
    connect("rampdown", 99);
    expect(label()).toBe("WebSocket");
    await speak(5, 100);
    world.sockets.at(-1)?.end(4409);
    await pass(30_000);
    expect(world.asked(path)).toBe(2);
  });

  it("complete renders what came over the WebSocket, from the first paint on", async () => {
    serveREST("complete");
    client.start();
    render();
    connect("complete", 5);
    expect(equity()).toBe(1005);
    await speak(10, 6);
    expect(world.asked(path)).toBe(0);
  });

  it("complete is learned from the 410 where there is no WebSocket", async () => {
    serveREST("complete");
    client.start();
    render();
    world.socket.end(4409);
    await pass(60_000);
    expect(world.asked(path)).toBe(1);
    expect(feed().getSnapshot()).toMatchObject({ stage: "complete", label: "None", data: undefined });
  });

  it("polls nothing that nobody renders", async () => {
    serveREST("shadow");
    client.start();
    const end = render();
    connect("shadow");
    await pass(5000);
    expect(world.asked(path)).toBeGreaterThan(3);
    expect(world.asked("/api/positions")).toBe(0);
    end();
    await pass(1000);
    const before = world.asked(path);
    await pass(10_000);
    expect(world.asked(path)).toBe(before);
  });

  it("waits a moment for hello before it asks REST, and no longer", async () => {
    serveREST("shadow");
    client.start();
    render();
    await pass(999);
    expect(world.asked(path)).toBe(0);
    await pass(10);
    expect(world.asked(path)).toBe(1);
    expect(world.requests.at(-1)?.client).toBe("me");
  });
});

describe("from REST to the WebSocket", () => {
  /** In shadow at seq 1, polled. */
  async function inShadow(): Promise<void> {
    world.answer = (asked) => (asked.startsWith(path) ? restBalance({ seq: 1, equity: 1001 }) : Response.error());
    client.start();
    render();
    connect("shadow", 1);
    await pass(100);
    expect(label()).toBe("REST (Shadow)");
  }

  it("changes when both hold the same version", async () => {
    await inShadow();
    world.socket.say(balance(2, 1002), cutover("account_balance", "live", 2));
    expect(label()).toBe("REST (Shadow)"); // one is ahead
    expect(equity()).toBe(1001);
    world.answer = () => restBalance({ stage: "live", dataSource: "ws", rev: 2, seq: 2, equity: 1002 });
    await pass(1000);
    expect(label()).toBe("WebSocket");
    expect(equity()).toBe(1002);
  });

  it("changes at once when they hold the same version already", async () => {
    await inShadow();
    world.socket.say(cutover("account_balance", "live", 2));
    expect(label()).toBe("WebSocket");
  });

  it("changes after five seconds when their versions never meet", async () => {
    await inShadow();
    world.socket.say(balance(2, 1002), cutover("account_balance", "live", 2));
    await speak(4, 3);
    expect(label()).toBe("REST (Shadow)");
    await speak(2, 7);
    expect(label()).toBe("WebSocket");
  });

  it("waits for the versions also when the stream has just become ready", async () => {
    world.answer = () => restBalance({ seq: 1, equity: 1001 });
    client.start();
    render();
    await pass(1500);
    connect("live", 7, "ws", 2);
    expect(label()).toBe("REST (Shadow)");
    await speak(4, 8);
    expect(label()).toBe("REST (Shadow)");
    await speak(2, 12);
    expect(label()).toBe("WebSocket");
  });
});

describe("a rollback", () => {
  /** In live, rendering the WebSocket at seq 9. */
  async function inLive(): Promise<void> {
    client.start();
    render();
    connect("live", 9);
    await pass(100);
    expect(label()).toBe("WebSocket");
  }

  it("a force switches at once, lies over the events, and ends", async () => {
    serveREST("live", 2);
    render();
    client.start();
    connect("live", 1, "ws", 2);
    await pass(0);
    expect(label()).toBe("WebSocket");
    world.answer = () => restBalance({ stage: "shadow", rev: 2, forced: true });
    world.socket.say(forced("shadow", 2, true));
    await pass(1100);
    expect(label()).toBe("REST (Shadow)");
    world.socket.say(cutover("account_balance", "rampdown", 3));
    await pass(0);
    expect(client.stage("account_balance").getSnapshot()).toMatchObject({
      stage: "shadow",
      stored: "rampdown",
      rev: 3,
    });
    world.socket.say(forced("rampdown", 3, false), balance(2, 1002));
    await pass(0);
    expect(client.stage("account_balance").getSnapshot()).toEqual({ stage: "rampdown", dataSource: "ws", rev: 3 });
  });

  it("a force to off ends the streams, and they come back", async () => {
    world.answer = () => restBalance({ stage: "off", rev: 2, forced: true });
    render();
    client.start();
    connect("live", 1, "ws", 2);
    await pass(0);
    world.socket.say(forced("off", 2, true));
    world.socket.say({ type: "reset", data: { stream: "account_balance:A", epoch: "e1", reason: "off" } });
    await pass(1100);
    expect(label()).toBe("REST");
    const asked = world.socket.sent.length;
    world.socket.say(forced("live", 2, false));
    await pass(0);
    expect(world.socket.sent.slice(asked).some(({ streams }) => streams.includes("account_balance:A"))).toBe(true);
  });

  it("a client that only polls hears of a force by the header", async () => {
    serveREST("live", 2);
    render();
    client.start();
    await pass(3000);
    expect(client.stage("account_balance").getSnapshot()?.stage).toBe("live");
    world.answer = () => restBalance({ stage: "shadow", rev: 2, forced: true });
    await pass(3000);
    expect(client.stage("account_balance").getSnapshot()).toMatchObject({
      stage: "shadow",
      forced: true,
      stored: "live",
    });
    serveREST("live", 2);
    await pass(3000);
    expect(client.stage("account_balance").getSnapshot()).toEqual({ stage: "live", dataSource: "ws", rev: 2 });
  });

  it("changes the label at once and keeps the value until REST has answered", async () => {
    await inLive();
    world.answer = () => restBalance({ rev: 2, seq: 12, equity: 1012 });
    world.socket.say(cutover("account_balance", "shadow", 2));
    expect(feed().getSnapshot()).toMatchObject({ label: "REST (Shadow)", dataSource: "rest", version: { seq: 9 } });
    expect(equity()).toBe(1009);
    await pass(499); // the first poll is spread over one cadence
    expect(world.asked(path)).toBe(0);
    await pass(1);
    expect(equity()).toBe(1012);
  });

  it("is learned from the header of a REST answer too", async () => {
    await inLive();
    world.answer = () => restBalance({ rev: 2, seq: 12, equity: 1012 });
    await speak(70, 10); // a verify poll
    expect(label()).toBe("REST (Shadow)");
  });

  it("is not undone by an answer that was on its way", async () => {
    await inLive();
    world.socket.say(cutover("account_balance", "shadow", 3));
    world.answer = () => restBalance({ stage: "live", dataSource: "ws", rev: 2, seq: 12 });
    await pass(1000);
    expect(label()).toBe("REST (Shadow)");
  });

  it("polls at once where there is nothing to show", async () => {
    client.start();
    render();
    world.socket.say(hello({ stage: "live" }));
    world.answer = () => restBalance({ rev: 2, seq: 3, equity: 1003 });
    world.socket.say(cutover("account_balance", "shadow", 2));
    await pass(0);
    expect(equity()).toBe(1003);
  });
});

describe("fallback", () => {
  it("spares a connection that comes back soon", async () => {
    serveREST("live");
    client.start();
    render();
    connect("live", 9);
    world.socket.end(1006);
    await pass(125);
    expect(label()).toBe("WebSocket");
    connect("live", 9);
    await speak(10, 10);
    expect(world.asked(path)).toBe(0);
  });

  it("stands in for a stream that is silent while the connection speaks, and wakes it", async () => {
    serveREST("live", 1, 50);
    client.start();
    render();
    connect("live", 9);
    const subscribes = world.socket.sent.length;
    await speak(10);
    expect(label()).toBe("WebSocket");
    await speak(2);
    expect(label()).toBe("REST (Fallback)");
    expect(world.socket.sent.slice(subscribes)).toMatchObject([{ resume: { "account_balance:A": { seq: 9 } } }]);
    world.socket.say(subscribed(world.socket.sent.at(-1), 70, true));
    await speak(20);
    expect(label()).toBe("REST (Fallback)"); // an answer is no data
    for (let seq = 10; seq <= 90; seq++) world.socket.say(balance(seq, 1000 + seq));
    await speak(6, 91);
    expect(label()).toBe("WebSocket");
  });

  it("keeps the last value when REST does not answer either, and calls it stale", async () => {
    client.start();
    render();
    connect("live", 9);
    world.socket.end(4409);
    await pass(6000);
    expect(feed().getSnapshot()).toMatchObject({ label: "REST (Fallback)", stale: false });
    await pass(2000);
    expect(feed().getSnapshot()).toMatchObject({ label: "REST (Fallback)", stale: true });
    expect(equity()).toBe(1009);
    expect(client.reach.getSnapshot()).toBe("unreachable");
  });
});

describe("back from a fallback", () => {
  /** Live, at seq 9, then without connection for so long that REST stands in. */
  async function lost(): Promise<void> {
    client.start();
    render();
    connect("live", 9);
    world.socket.end(1006);
    await pass(4000);
    expect(label()).toBe("REST (Fallback)");
  }

  it("the WebSocket's own last word gives way to its next at once", async () => {
    await lost();
    connect("live", 20);
    expect(feed().getSnapshot()).toMatchObject({ label: "WebSocket", version: { seq: 20 } });
  });

  it("what is stale is not waited for", async () => {
    world.answer = () => restBalance({ stage: "live", dataSource: "ws", seq: 12, age: 30 });
    await lost();
    await pass(6000);
    expect(feed().getSnapshot()).toMatchObject({ label: "REST (Fallback)", stale: true });
    connect("live", 20);
    expect(label()).toBe("WebSocket");
  });

  it("what is fresh waits for the versions to meet", async () => {
    serveREST("live", 1, 100);
    await lost();
    connect("live", 20);
    expect(label()).toBe("REST (Fallback)");
  });
});

describe("an assignment in canary", () => {
  it("moves this client alone, and outlives a connection", async () => {
    serveREST("canary", 2);
    client.start();
    render();
    connect("canary", 1, "rest", 2);
    await pass(100);
    expect(label()).toBe("REST (Canary)");
    world.socket.say({ type: "assignment", data: { feature: "account_balance", data_source: "ws", rev: 2 } });
    world.answer = () => restBalance({ stage: "canary", dataSource: "ws", rev: 2, seq: 1 });
    await speak(8, 2);
    expect(label()).toBe("WebSocket");
    world.answer = () => Promise.reject(new Error());
    world.socket.end(1006);
    await pass(125);
    const seen = new Set<DataSourceLabel>();
    const end = client.view("account_balance").subscribe(() => seen.add(client.getDataSource("account_balance")));
    connect("canary", 12, "rest", 2); // hello does not know our name yet
    await speak(3, 13);
    end();
    expect([...seen]).toEqual([]);
    expect(label()).toBe("WebSocket");
    world.socket.say({ type: "assignment", data: { feature: "account_balance", data_source: "rest", rev: 3 } });
    expect(label()).toBe("REST (Canary)");
  });
});

describe("the age of what is shown", () => {
  const age = (): number => Date.now() - (feed().getSnapshot().asOf ?? 0);

  it("counts from when the event was committed, by the server's clock", async () => {
    client.start();
    render();
    world.socket.say(hello({ stage: "live" }));
    world.socket.say(subscribed(world.socket.sent[0], 1), balanceSnapshot(1, 1, { ts: Date.now() - 700 }));
    expect(age()).toBe(700);
    await pass(1000);
    expect(age()).toBe(1700);
    await pass(4000);
    expect(feed().getSnapshot().stale).toBe(true);
  });

  it("is judged by the cadence the server tells", async () => {
    client.start();
    render();
    connect("live");
    const tell = (cadence_ms: number) =>
      world.socket.say({ type: "cadence", data: { streams: { "account_balance:A": { cadence_ms } } } });
    tell(5000);
    for (let seq = 2; seq < 10; seq++) {
      await pass(5500);
      expect(feed().getSnapshot()).toMatchObject({ label: "WebSocket", stale: false });
      world.socket.say(heartbeat(), balance(seq, seq));
    }
    tell(1000);
    await pass(5500);
    expect(feed().getSnapshot().stale).toBe(true);
  });

  it("does not lose what was on its way", async () => {
    client.start();
    render();
    world.socket.say(hello({ stage: "live" }));
    world.socket.say(subscribed(world.socket.sent[0], 1), balanceSnapshot(1, 1, { ts: Date.now() - 60_000 }));
    for (let i = 0; i < 20; i++) {
      await pass(5000);
      const late = { ts: Date.now() - 8000 };
      world.socket.say({ ...heartbeat(), ...late }, balance(2 + i, 5, late));
      expect(age()).toBe(8000);
      expect(feed().getSnapshot().stale).toBe(true);
    }
  });

  it("is that of REST's answer, from when it was asked for", async () => {
    world.answer = async () => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return restBalance({ seq: 5, age: 2 });
    };
    client.start();
    render();
    world.socket.say(hello({ streams: [] }));
    await pass(300);
    expect(age()).toBe(2300);
  });
});

describe("somebody who comes back to a stream in shadow", () => {
  it("does not wait for a turn", async () => {
    serveREST("shadow");
    client.start();
    const end = render();
    connect("shadow");
    await pass(3000);
    end();
    await pass(60_000);
    const before = world.asked(path);
    render();
    await pass(0);
    expect(world.asked(path)).toBe(before + 1);
    expect(feed().getSnapshot().stale).toBe(false);
  });
});

describe("a server that refuses", () => {
  it.each([401, 403])("%s is neither an answer nor silence", async (status) => {
    world.answer = () => new Response("{}", { status });
    client.start();
    render();
    world.socket.end(4401);
    await pass(2000);
    expect(client.reach.getSnapshot()).toBe("refused");
  });

  it("has to be seen again when the connection is lost", async () => {
    serveREST("live");
    client.start();
    render();
    await pass(1500);
    expect(client.reach.getSnapshot()).toBe("reached");
    connect("live", 1);
    await speak(3, 2);
    world.answer = () => Promise.reject(new Error());
    world.socket.end(1006);
    expect(client.reach.getSnapshot()).toBe("unknown");
    await pass(5000);
    expect(client.reach.getSnapshot()).toBe("unreachable");
  });

  it("and one that fails cannot be reached", async () => {
    world.answer = () => new Response("{}", { status: 503 });
    client.start();
    render();
    await pass(2000);
    expect(client.reach.getSnapshot()).toBe("unreachable");
  });
});

describe("a hidden page", () => {
  it("does not poll, and asks at once when it is seen", async () => {
    serveREST("shadow");
    client.start();
    render();
    connect("shadow");
    await pass(5000);
    world.show(false);
    const before = world.asked(path);
    for (let i = 0; i < 6; i++) {
      await pass(10_000);
      world.socket.say(heartbeat());
    }
    expect(world.asked(path)).toBe(before);
    world.show(true);
    await pass(0);
    expect(world.asked(path)).toBe(before + 1);
    expect(feed().getSnapshot().stale).toBe(false);
  });
});

describe("polling", () => {
  it("sends the tag it has, and a 304 keeps the value and its reference", async () => {
    world.answer = (asked, tag) => {
      const answer = restBalance({ seq: 4 });
      if (!asked.startsWith(path) || tag === undefined) return answer;
      return new Response(null, { status: 304, headers: answer.headers });
    };
    client.start();
    render();
    connect("shadow");
    await pass(100);
    const { data } = feed().getSnapshot();
    await pass(5000);
    expect(world.requests.at(-1)?.tag).toBe('"account_balance:A:e1-4"');
    expect(feed().getSnapshot().data).toBe(data);
  });

  it("has one request in flight", async () => {
    let answerLater = (): void => {};
    world.answer = () =>
      new Promise((resolve) => {
        answerLater = () => resolve(restBalance({ seq: 4 }));
      });
    client.start();
    render();
    connect("shadow");
    await pass(8000);
    expect(world.asked(path)).toBe(1);
    answerLater();
    await pass(10);
    expect(world.asked(path)).toBe(2);
  });

  it("backs off while the server fails", async () => {
    client.start();
    render();
    connect("shadow");
    for (let i = 0; i < 12; i++) {
      await pass(5000);
      world.socket.say(heartbeat());
    }
    expectBetween(world.asked(path), 8, 14);
  });

  it("asks for a change that was announced when it has come", async () => {
    const opening = Date.now() + 5000;
    let [seq, status] = [1, "PREOPEN"];
    const next = () => new Date(status === "PREOPEN" ? opening : opening + 3_600_000).toISOString();
    world.answer = (asked) => {
      if (!asked.startsWith("/api/global-market")) return new Response("{}", { status: 404 });
      const headers = { ETag: `"global_market:e1-${seq}"`, Cutover: "stage=shadow, data_source=rest, rev=1" };
      const markets = [{ market_id: "XNYS", status, next_event_at: next() }, { market_id: "X" }];
      return new Response(JSON.stringify({ markets }), { headers });
    };
    client.start();
    const markets = client.feed("global_market");
    markets.subscribe(() => {});
    world.socket.say(hello({ streams: [] }));
    await pass(5100); // the server is late
    expect(world.asked("/api/global-market")).toBe(1);
    await pass(200);
    expect(world.asked("/api/global-market")).toBe(2);
    [seq, status] = [2, "OPEN"];
    await pass(1000);
    expect(markets.getSnapshot().data?.[1]).toMatchObject({ status: "OPEN" });
    const asked = world.asked("/api/global-market");
    await pass(9000);
    expect(world.asked("/api/global-market")).toBe(asked);
    await pass(1000);
    expect(world.asked("/api/global-market")).toBe(asked + 1);
  });

  it("starts a history over when the store is another", async () => {
    const bar = (minute: string) => ({ symbol: "S", timestamp_minute: `2026-11-23T${minute}:00Z`, final: true });
    let epoch = "e1";
    let minutes = ["15:00", "15:01"];
    world.answer = () => {
      const headers = { ETag: `"intraday:S:${epoch}-9;h=1"`, Cutover: "stage=shadow, data_source=rest, rev=1" };
      return new Response(JSON.stringify({ symbol: "S", bars: minutes.map(bar) }), { headers });
    };
    client.start();
    const bars = client.feed("intraday", "S");
    bars.subscribe(() => {});
    world.socket.say(hello({ streams: [] }));
    await pass(100);
    expect(bars.getSnapshot().data).toHaveLength(2);
    [epoch, minutes] = ["e2", ["15:05"]];
    await pass(10_000);
    expect(bars.getSnapshot().data).toMatchObject([{ timestamp_minute: "2026-11-23T15:05:00Z" }]);
    expect(world.requests.at(-1)?.cache).toBe("no-store");
  });

  it("pages through bars instead of loading the session again", async () => {
    const bar = (minute: string) => ({ symbol: "S", timestamp_minute: `2026-11-23T${minute}:00Z`, final: true });
    world.answer = (asked) => {
      const bars = asked.includes("since=") ? [bar("15:03")] : ["15:00", "15:01", "15:02"].map(bar);
      const headers = { ETag: '"intraday:S:e1-9;h=1"', Cutover: "stage=shadow, data_source=rest, rev=1" };
      return new Response(JSON.stringify({ symbol: "S", bars }), { headers });
    };
    client.start();
    const bars = client.feed("intraday", "S");
    bars.subscribe(() => {});
    world.socket.say(hello({ streams: [] }));
    await pass(100);
    expect(bars.getSnapshot().data).toHaveLength(3);
    await pass(1000);
    expect(bars.getSnapshot().data).toHaveLength(4);
    const asked = world.requests.filter(({ path: p }) => p.startsWith("/api/intraday"));
    expect(asked.map(({ path: p }) => p)).toEqual([
      "/api/intraday/bars?symbol=S",
      "/api/intraday/bars?symbol=S&since=2026-11-23T15%3A00%3A00Z",
    ]);
  });
});

describe("what arrives", () => {
  it("is printed in shadow as it was sent, of the snapshot of a history the newest part", () => {
    client.shadowLog = true;
    client.start();
    world.socket.say(hello({ streams: ["account_balance:A", "global_market", "intraday:S"] }));
    world.socket.say(balanceSnapshot(2, 1), balance(3, 2), market(1, "XNYS", "OPEN", { part: 1, parts: 2 }));
    world.socket.say(market(2, "CMES", "OPEN", { part: 2, parts: 2, at: 2 }));
    world.socket.say(bar(1, "15:00", 5, { snapshot: true, part: 1, parts: 2 }));
    world.socket.say(bar(2, "15:01", 6, { snapshot: true, part: 2, parts: 2, at: 2 }));
    expect(world.printed).toEqual([
      '[WS] account_balance: {"account_id":"A","currency":"USD","equity":1,"timestamp":"2026-11-23T15:30:00Z"}',
      '[WS] account_balance: {"account_id":"A","currency":"USD","equity":2,"timestamp":"2026-11-23T15:30:00Z"}',
      '[WS] market_status: {"market_id":"XNYS","status":"OPEN"}',
      '[WS] market_status: {"market_id":"CMES","status":"OPEN"}',
      expect.stringContaining('"close":6,'),
    ]);
    world.socket.say(cutover("account_balance", "live", 2), balance(4, 4));
    expect(world.printed).toHaveLength(5);
  });

  it("is told of a snapshot in whole, part by part, when its last has come", () => {
    const seen: string[] = [];
    client.start();
    client.onData("global_market", (data) => seen.push(data.market_id));
    world.socket.say(hello({ feature: "global_market", stage: "live", streams: ["global_market"] }));
    world.socket.say(subscribed(world.socket.sent[0], 3));
    world.socket.say(
      market(1, "XNYS", "OPEN", { part: 1, parts: 3 }),
      market(2, "CMES", "OPEN", { part: 2, parts: 3 }),
    );
    expect(seen).toEqual([]);
    world.socket.say(market(3, "XTKS", "CLOSED", { part: 3, parts: 3, at: 3 }));
    expect(seen).toEqual(["XNYS", "CMES", "XTKS"]);
  });

  it("is told to those who bring their own rendering, when it is to be rendered", () => {
    const seen: unknown[] = [];
    client.start();
    client.onData("account_balance", (data) => seen.push(data.equity));
    connect("shadow", 1);
    world.socket.say(balance(2, 1002));
    expect(seen).toEqual([]);
    expect(client.getDataSource("account_balance")).toBe("REST (Shadow)");
    world.socket.say(cutover("account_balance", "live", 2), balance(3, 1003));
    expect(seen).toEqual([1003]);
    expect(client.getDataSource("account_balance")).toBe("WebSocket");
  });

  it("is told once per frame of the screen", async () => {
    let told = 0;
    client.start();
    feed().subscribe(() => told++);
    connect("live", 1);
    await pass(0);
    told = 0;
    for (let seq = 2; seq < 50; seq++) world.socket.say(balance(seq, 1000 + seq));
    expect(told).toBe(0);
    await pass(0);
    expect(told).toBe(1);
    expect(equity()).toBe(1049);
  });
});

function expectBetween(n: number, least: number, most: number): void {
  expect(n).toBeGreaterThanOrEqual(least);
  expect(n).toBeLessThanOrEqual(most);
}
