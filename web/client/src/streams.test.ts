import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ThorClient } from "./client.ts";
import type { AccountBalance } from "./generated.ts";
import { balance, balanceSnapshot, bar, cutover, heartbeat, hello, subscribed } from "./testing/frames.ts";
import { pass, World } from "./testing/world.ts";

let world: World;
let client: ThorClient;

/** Connected in stage live, with balance 100 at seq 10. */
beforeEach(async () => {
  vi.useFakeTimers({ now: 1_795_000_000_000 });
  world = new World();
  client = new ThorClient({ name: "me", environment: world.environment, shadowLog: false });
  client.start();
  client.feed("account_balance", "A").subscribe(() => {});
  world.socket.say(hello({ stage: "live", streams: ["account_balance:A", "global_market"] }));
  world.socket.say(subscribed(world.socket.sent[0], 10), balanceSnapshot(10, 100));
  await pass(0);
  world.socket.sent.length = 0;
});
afterEach(() => vi.useRealTimers());

const shown = (): AccountBalance | undefined => client.feed("account_balance", "A").getSnapshot().data;
const asked = () => world.socket.sent.map(({ streams, resume }) => ({ streams, resume }));

describe("a hole without a gap", () => {
  it("is asked for from what is held, once", async () => {
    await pass(1000);
    world.socket.say(balance(13, 103), balance(14, 104));
    expect(asked()).toEqual([
      { streams: ["account_balance:A"], resume: { "account_balance:A": { epoch: "e1", seq: 10 } } },
    ]);
    world.socket.say(subscribed(world.socket.sent[0], 14, true));
    world.socket.say(balance(11, 101), balance(12, 102), balance(13, 103), balance(14, 104));
    expect(shown()?.equity).toBe(104);
    expect(asked()).toHaveLength(1);
  });

  it("is not asked for in a loop", async () => {
    await pass(1000);
    for (let i = 0; i < 20; i++) {
      world.socket.say(balance(50 + 2 * i, 1));
      world.socket.say(subscribed(world.socket.sent.at(-1), 10, true));
      await pass(100);
    }
    expect(asked().length).toBeLessThanOrEqual(3);
  });
});

it("a gap covers what it names", () => {
  world.socket.say({ type: "gap", data: { stream: "account_balance:A", from: 11, to: 20, reason: "conflated" } });
  world.socket.say(balance(20, 120), balance(21, 121));
  expect(shown()?.equity).toBe(121);
  expect(asked()).toEqual([]);
});

it("an epoch that changes keeps what is shown until its snapshot is there", () => {
  world.socket.say({ type: "reset", data: { stream: "account_balance:A", epoch: "e2", reason: "epoch_changed" } });
  expect(shown()?.equity).toBe(100);
  world.socket.say({ ...balanceSnapshot(1, 7), epoch: "e2" }, { ...balance(2, 8), epoch: "e2" });
  expect(shown()?.equity).toBe(8);
  expect(client.feed("account_balance", "A").getSnapshot().version).toEqual({ epoch: "e2", seq: 2 });
});

it("what cannot be resumed is replaced by the snapshot", async () => {
  world.socket.end(1006);
  await pass(125);
  world.socket.say(hello({ stage: "live" }));
  world.socket.say(subscribed(world.socket.sent[0], 90));
  expect(shown()?.equity).toBe(100);
  world.socket.say(balanceSnapshot(90, 190), balance(91, 191));
  expect(shown()?.equity).toBe(191);
});

it("a stream that is off ends, and is followed again when its feature comes back", () => {
  world.socket.say({ type: "reset", data: { stream: "account_balance:A", epoch: "e1", reason: "off" } });
  world.socket.say(cutover("account_balance", "off", 2));
  world.socket.say(balance(11, 101));
  expect(shown()?.equity).toBe(100);
  world.socket.say(heartbeat());
  expect(asked()).toEqual([]);
  world.socket.say(cutover("account_balance", "shadow", 3));
  expect(asked()).toEqual([
    { streams: ["account_balance:A"], resume: { "account_balance:A": { epoch: "e1", seq: 10 } } },
  ]);
});

it("a stream that is refused is not asked for again until something has changed", async () => {
  world.socket.end(1006);
  await pass(125);
  world.socket.say(hello({ stage: "live" }), heartbeat());
  for (const { id } of [...world.socket.sent]) world.socket.say({ type: "subscribed", id, data: { streams: {} } });
  const before = asked().length;
  world.socket.say(heartbeat());
  expect(asked()).toHaveLength(before);
  world.socket.say(heartbeat({ global_market: { seq: 1 } }));
  expect(asked().slice(before)).toEqual([{ streams: ["global_market"], resume: {} }]);
});

it("a public stream the heartbeat names is followed", () => {
  world.socket.say(heartbeat({ "intraday:NEW": { seq: 3 } }));
  expect(asked().flatMap(({ streams }) => streams)).toContain("intraday:NEW");
  expect(client.directory.getSnapshot().symbols.map(({ symbol }) => symbol)).toContain("NEW");
});

it("a stream of a feature this build does not know is left alone", () => {
  world.socket.say(heartbeat({ "orders:X": { seq: 3 } }));
  world.socket.say({ ...balance(1, 1), type: "order", stream: "orders:X" });
  expect(asked()).toEqual([]);
});

it("streams of accounts REST names are followed", async () => {
  world.answer = (path) => {
    if (path === "/api/accounts") return Response.json({ accounts: [{ account_id: "A" }, { account_id: "B" }] });
    if (path === "/api/symbols") return Response.json({ symbols: [] });
    return new Response("", { status: 500 });
  };
  await pass(1000);
  expect(asked().flatMap(({ streams }) => streams)).toEqual(["account_balance:B", "positions:B"]);
});

describe("histories", () => {
  const snapshot = (symbol: string) => ({
    ...bar(1, "15:00", 5, { snapshot: true, part: 1, parts: 1, at: 1 }),
    stream: `intraday:${symbol}`,
  });
  const answer = (seq: number) => world.socket.say(subscribed(world.socket.sent.at(-1), seq));
  const names = () => asked().map(({ streams }) => streams);

  beforeEach(async () => {
    client.feed("intraday", "SEEN").subscribe(() => {});
    world.socket.end(1006);
    await pass(125);
    const symbols = ["A", "B", "C", "SEEN"].map((symbol) => `intraday:${symbol}`);
    const others = ["account_balance:A", "positions:A", "global_market"];
    world.socket.say(hello({ stage: "live", streams: [...symbols, ...others] }));
  });

  it("nobody looks at come one after the other, behind all the rest", () => {
    expect(names()).toEqual([
      ["intraday:SEEN", "account_balance:A", "positions:A", "global_market", "cutover"],
      ["intraday:A"],
    ]);
    answer(1);
    expect(names()).toHaveLength(2); // the answer is not the snapshot
    world.socket.say(snapshot("A"));
    expect(names().slice(2)).toEqual([["intraday:B"]]);
    answer(0); // without an event: no snapshot comes
    expect(names().slice(3)).toEqual([["intraday:C"]]);
    answer(1);
    world.socket.say(snapshot("C"));
    expect(names()).toHaveLength(4);
  });

  it("do not wait for their turn when somebody begins to look", () => {
    client.feed("intraday", "C").subscribe(() => {});
    expect(names().at(-1)).toEqual(["intraday:C"]);
  });

  it("are asked for on the next connection again", async () => {
    world.socket.end(1006);
    await pass(250);
    world.socket.say(hello({ stage: "live", streams: ["intraday:A", "intraday:B"] }));
    expect(names().slice(0, 2)).toEqual([["cutover"], ["intraday:A"]]);
  });
});

it("a command that is refused as a whole is not waited for, nor repeated at once", async () => {
  world.socket.end(1006);
  await pass(125);
  world.socket.say(hello({ stage: "live", streams: ["account_balance:A", "global_market"] }));
  const { id } = world.socket.sent[0] ?? {};
  world.socket.say({ type: "error", id, data: { code: "invalid", message: "", retryable: false } });
  const before = asked().length;
  const since = () =>
    asked()
      .slice(before)
      .flatMap(({ streams }) => streams);
  world.socket.say(heartbeat());
  expect(since()).not.toContain("account_balance:A");
  world.socket.say(cutover("account_balance", "off", 2), cutover("account_balance", "live", 3));
  expect(since()).toContain("account_balance:A");
});
