import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ThorClient } from "./client.ts";
import { balance, balanceSnapshot, heartbeat, hello, subscribed } from "./testing/frames.ts";
import { pass, World } from "./testing/world.ts";

let world: World;
let client: ThorClient;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_795_000_000_000 });
  world = new World();
  client = new ThorClient({ name: "me", environment: world.environment, shadowLog: false });
});
afterEach(() => vi.useRealTimers());

const status = (): string => client.connection.getSnapshot().status;

describe("a close code", () => {
  const stops: [number, string][] = [
    [1000, "done"],
    [1002, "protocol_error"],
    [1003, "protocol_error"],
    [1007, "protocol_error"],
    [1009, "protocol_error"],
    [4400, "bad_request"],
    [4401, "unauthorized"],
    [4403, "forbidden"],
    [4406, "unsupported_version"],
    [4409, "replaced"],
  ];
  it.each(stops)("%i stops until somebody acts: %s", async (code, reason) => {
    client.start();
    world.socket.say(hello());
    world.socket.end(code);
    expect(client.connection.getSnapshot()).toMatchObject({ status: "closed", reason: { code: reason } });
    await pass(120_000);
    world.show(true);
    expect(world.sockets).toHaveLength(1);
    client.reconnect();
    expect(world.sockets).toHaveLength(2);
  });

  // Chance is 0.5: half of the cap, or of the jitter hello announced.
  const returns: [number, string, number][] = [
    [1001, "restarting", 2500],
    [1012, "restarting", 2500],
    [1006, "lost", 125],
    [1011, "server_error", 125],
    [1013, "overloaded", 125],
    [4408, "timeout", 125],
    [4429, "too_many", 5125],
    [4503, "channel_lost", 125],
    [4508, "stalled", 125],
    [4999, "lost", 125],
  ];
  it.each(returns)("%i comes back: %s, after %i ms", async (code, reason, ms) => {
    client.start();
    world.socket.say(hello());
    world.socket.end(code);
    expect(client.connection.getSnapshot()).toMatchObject({ status: "waiting", reason: { code: reason } });
    await pass(ms - 1);
    expect(world.sockets).toHaveLength(1);
    await pass(1);
    expect(world.sockets).toHaveLength(2);
    expect(status()).toBe("connecting");
  });

  it.each([4429, 1013])("%i waits as long as its reason says, whoever looks", async (code) => {
    client.start();
    world.socket.end(code, "too many; retry_after=20");
    world.show(true);
    await pass(20_000);
    expect(world.sockets).toHaveLength(1);
    await pass(125);
    expect(world.sockets).toHaveLength(2);
  });
});

describe("a connection", () => {
  it("speaks to where the page came from", () => {
    client.start();
    expect(world.socket.url).toBe("ws://thor/ws/");
  });

  it("backs off with full jitter from 250 ms to 15 s and never gives up", async () => {
    world.random = 1;
    client.start();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 12; attempt++) {
      world.socket.end(1006);
      const state = client.connection.getSnapshot();
      if (state.status !== "waiting") throw new Error(state.status);
      waits.push(state.retryAt - Date.now());
      expect(state.reason.code).toBe("unreachable");
      await pass(waits.at(-1) ?? 0);
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000, 15000, 15000, 15000]);
  });

  it("begins a new series of attempts after a stable time, not after a short one", async () => {
    world.random = 1;
    client.start();
    for (const [stable, wait] of [
      [1000, 250],
      [1000, 500],
      [20_000, 250],
    ] as const) {
      world.socket.say(hello());
      for (let ms = 0; ms < stable; ms += 1000) {
        await pass(1000);
        world.socket.say(heartbeat());
      }
      world.socket.end(1006);
      const state = client.connection.getSnapshot();
      expect(state.status === "waiting" && state.retryAt - Date.now()).toBe(wait);
      await pass(wait);
    }
  });

  it("comes back when the server said, and not before", async () => {
    client.start();
    world.socket.say(hello(), { type: "server_shutdown", data: { reconnect_in_ms: 2300 } });
    world.socket.end(1012);
    world.show(true);
    await pass(2299);
    expect(world.sockets).toHaveLength(1);
    await pass(1);
    expect(world.sockets).toHaveLength(2);
  });

  it.each(["the network is back", "the page is seen"])("does not wait on when %s", async () => {
    world.random = 1;
    client.start();
    for (let attempt = 0; attempt < 8; attempt++) {
      world.socket.end(1006);
      await pass(15_000);
    }
    world.socket.end(1006);
    const opened = world.sockets.length;
    world.show(true); // both come as one event
    expect(world.sockets).toHaveLength(opened + 1);
  });

  it("does not wait on when REST answers again", async () => {
    world.random = 1;
    client.start();
    client.feed("account_balance", "A").subscribe(() => {});
    for (let attempt = 0; attempt < 8; attempt++) {
      world.socket.end(1006);
      await pass(15_000);
    }
    await pass(7000); // so that the next poll comes before the next attempt
    world.socket.end(1006);
    const opened = world.sockets.length;
    world.answer = () => new Response("{}", { status: 404 });
    await pass(14_900);
    expect(world.sockets).toHaveLength(opened + 1);
  });

  it("says that it is offline when the device is", () => {
    world.online = false;
    client.start();
    world.socket.end(1006);
    expect(client.connection.getSnapshot()).toMatchObject({ reason: { code: "offline" } });
  });

  it("gives up a server that does not say hello", async () => {
    client.start();
    await pass(10_000);
    expect(world.sockets[0]?.closed?.code).toBe(4408);
    expect(client.connection.getSnapshot()).toMatchObject({ status: "waiting", reason: { code: "timeout" } });
  });

  it("closes what has been silent for longer than announced, and any message counts", async () => {
    client.start();
    world.socket.say(hello(), subscribed(undefined, 0));
    await pass(10_000);
    world.socket.say({ type: "pong", ts: 1 });
    await pass(14_999);
    expect(status()).toBe("connected");
    await pass(1);
    expect(world.sockets[0]?.closed?.code).toBe(4408);
    expect(client.connection.getSnapshot()).toMatchObject({ status: "waiting", reason: { code: "silent" } });
  });

  it("takes the limit of silence from the heartbeat", async () => {
    client.start();
    world.socket.say(hello(), {
      type: "heartbeat",
      data: { timestamp: "", stale_after_ms: 30_000, streams: {} },
      ts: Date.now(),
    });
    await pass(29_000);
    expect(status()).toBe("connected");
    await pass(1000);
    expect(status()).toBe("waiting");
  });

  it("ignores what comes of a socket it has given up", async () => {
    client.start();
    await pass(10_000);
    await pass(200);
    expect(world.sockets).toHaveLength(2);
    world.sockets[0]?.say(hello());
    world.sockets[0]?.end(4403);
    expect(status()).toBe("connecting");
  });

  it("ignores what it does not know", () => {
    client.start();
    world.socket.say(hello(), { type: "weather", data: {} }, [1, 2], { type: "gap" });
    expect(status()).toBe("connected");
  });

  it("is closed a tick after the last user has gone, and not for one who comes again", async () => {
    const first = client.start();
    first();
    const second = client.start();
    await pass(10);
    expect(world.sockets).toHaveLength(1);
    expect(world.socket.closed).toBeUndefined();
    second();
    second(); // twice is once
    await pass(1);
    expect(world.socket.closed?.code).toBe(1000);
    expect(status()).toBe("idle");
    await pass(60_000);
    expect(world.sockets).toHaveLength(1);
  });

  it("without a WebSocket class stays closed and says so", () => {
    client = new ThorClient({ environment: { ...world.environment, openSocket: undefined } });
    client.start();
    expect(client.connection.getSnapshot()).toMatchObject({ status: "closed", reason: { code: "no_websocket" } });
  });
});

describe("after hello", () => {
  const streams = ["account_balance:A", "positions:A", "global_market"];

  it("subscribes to every stream under its name", () => {
    client.start();
    world.socket.say(hello({ streams }));
    expect(world.socket.sent).toEqual([
      { type: "subscribe", id: "1", client: "me", streams: [...streams, "cutover"], resume: {} },
    ]);
  });

  it("resumes after a reconnect from what it holds", async () => {
    client.start();
    world.socket.say(hello(), subscribed({ id: "1", streams: ["account_balance:A", "cutover"] }, 5));
    world.socket.say(balanceSnapshot(5, 100), balance(6, 101));
    world.socket.end(1006);
    await pass(125);
    world.socket.say(hello());
    expect(world.socket.sent[0]?.resume).toEqual({ "account_balance:A": { epoch: "e1", seq: 6 } });
  });

  it("splits what would be too much for one message", () => {
    client.start();
    world.socket.say(hello({ streams: Array.from({ length: 150 }, (_, i) => `positions:S${i}`) }));
    expect(world.socket.sent.map(({ streams }) => streams.length).slice(0, 3)).toEqual([64, 64, 23]);
  });
});
