import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ThorClient } from "./client.ts";
import type { ConnectionState } from "./state.ts";
import { authenticated, balanceSnapshot, heartbeat, hello, subscribed, tokenFor } from "./testing/frames.ts";
import { pass, World } from "./testing/world.ts";
import { readToken, type TokenSource } from "./token.ts";

let world: World;
let client: ThorClient;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_795_000_000_000 });
  world = new World();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Starts a client with a token, up to where the socket stands. */
async function start(token: TokenSource): Promise<void> {
  client = new ThorClient({ name: "me", token, environment: world.environment, shadowLog: false });
  client.start();
  await open();
}

async function open(): Promise<void> {
  await pass(0);
  world.socket.open();
}

/** The server takes the token. */
function welcome(sub = "ada"): void {
  world.socket.say(authenticated(sub), hello());
}

/** The server refuses the token, as it does. */
function turnAway(message = "the token has expired"): void {
  world.socket.say({ type: "error", id: "auth", data: { code: "unauthorized", message, retryable: false } });
  world.socket.end(4401, "the token was refused");
}

const state = (): ConnectionState => client.connection.getSnapshot();
const tokens = (): (string | undefined)[] =>
  world.sockets.flatMap(({ sent }) => sent.filter((c) => c.type === "auth").map(({ token }) => token));

describe("a token", () => {
  it("is the first message, under the client's name, and in no URL", async () => {
    const token = tokenFor("ada", 3600);
    await start(token);
    expect(world.socket.sent).toEqual([{ type: "auth", id: "auth", token, client: "me" }]);
    welcome();
    expect(state().status).toBe("connected");
    expect(client.access.getSnapshot()).toMatchObject({
      status: "signed_in",
      identity: { subject: "ada", roles: ["viewer"], accounts: ["A"] },
    });
    expect(world.sockets.map(({ url }) => url)).toEqual(["ws://thor/ws/"]);
    expect(world.requests.map(({ path }) => path).join()).not.toContain(token);
  });

  it("goes with every request", async () => {
    const token = tokenFor("ada", 3600);
    world.answer = () => Response.json({ accounts: [] });
    await start(async () => token);
    await pass(10);
    expect(world.requests.length).toBeGreaterThan(0);
    expect(new Set(world.requests.map((r) => r.token))).toEqual(new Set([token]));
  });

  it("is the same again after a lost connection, and what was held is resumed", async () => {
    const token = tokenFor("ada", 3600);
    await start(token);
    welcome();
    const ask = { id: "1", streams: ["account_balance:A", "cutover"] };
    world.socket.say(subscribed(ask, 5), balanceSnapshot(5, 100));
    world.socket.end(1006);
    await pass(125);
    await open();
    welcome();
    expect(tokens()).toEqual([token, token]);
    expect(world.socket.sent[1]?.resume).toEqual({ "account_balance:A": { epoch: "e1", seq: 5 } });
  });

  it("that a server without a key cannot check does no harm", async () => {
    await start(tokenFor("ada", 3600));
    world.socket.say(hello(), { type: "error", id: "auth", data: { code: "unauthorized", message: "no key" } });
    expect(state().status).toBe("connected");
    expect(client.access.getSnapshot().status).toBe("open");
  });

  it("is read without trust", () => {
    for (const text of ["", "a", "a.b.c", "a.e30", `x.${btoa("[1]")}.y`, `x.${btoa("null")}.y`]) {
      const identity = readToken(text);
      expect(identity?.subject ?? "").toBe("");
    }
    expect(readToken(`x.${btoa('{"sub":7,"roles":[1,"viewer"],"exp":"soon"}')}.y`.replaceAll("=", ""))).toEqual({
      subject: "7",
      roles: ["viewer"],
      accounts: [],
      expiresAt: undefined,
    });
  });
});

describe("a token that is about to expire", () => {
  it("is replaced over the same connection", async () => {
    let made = 0;
    await start(() => tokenFor("ada", 600, String(made++)));
    welcome();
    await alive(479_000);
    expect(tokens()).toHaveLength(1);
    await alive(2000);
    expect(tokens()).toHaveLength(2);
    expect(new Set(tokens()).size).toBe(2);
    world.socket.say(authenticated("ada"));
    expect(world.sockets).toHaveLength(1);
    expect(state().status).toBe("connected");
    expect(client.access.getSnapshot()).toMatchObject({ identity: { expiresAt: Date.now() + 599_000 } });
  });

  it("is not asked for again and again when there is no newer one", async () => {
    const ask = vi.fn(() => token);
    const token = tokenFor("ada", 60);
    await start(ask);
    welcome();
    await alive(59_000);
    expect(ask.mock.calls.length).toBeGreaterThan(1);
    expect(ask.mock.calls.length).toBeLessThan(5);
    expect(tokens()).toEqual([token]);
  });

  it("stays while the next one cannot be got", async () => {
    const token = tokenFor("ada", 60);
    let made = 0;
    await start(() => (made++ === 0 ? token : Promise.reject(new Error("away"))));
    welcome();
    await alive(58_000);
    expect(state().status).toBe("connected");
    expect(made).toBeGreaterThan(1);
  });

  it("is replaced when somebody says that there is a newer one", async () => {
    let note = "first";
    await start(() => tokenFor("ada", 3600, note));
    welcome();
    note = "second";
    await client.renewToken();
    expect(tokens()).toHaveLength(2);
    expect(world.sockets).toHaveLength(1);
  });
});

describe("a token that is refused", () => {
  it("is replaced once, and the connection made again", async () => {
    let made = 0;
    await start(() => tokenFor("ada", 3600, String(made++)));
    turnAway();
    expect(state().status).toBe("connecting");
    await open();
    welcome();
    expect(state().status).toBe("connected");
    expect(made).toBe(2);
    world.socket.end(4401, "the token has expired"); // at once again: somebody has to look at it
    expect(state()).toMatchObject({ status: "closed", reason: { code: "token_expired" } });
    expect(made).toBe(2);
  });

  it("may be replaced again after a stable time", async () => {
    let made = 0;
    await start(() => tokenFor("ada", 3600, String(made++)));
    for (let i = 0; i < 3; i++) {
      welcome();
      await alive(11_000);
      world.socket.end(4401, "the token has expired");
      await open();
    }
    expect(made).toBe(4);
    expect(state().status).toBe("connecting");
  });

  const refusals: [string, number, string][] = [
    ["the token has expired", 3600, "token_expired"],
    ["the token is not valid: signature is invalid", 3600, "token_refused"],
    ["the token is not valid", -5, "token_expired"],
  ];
  it.each(refusals)("stops where there is no other: %s", async (message, seconds, code) => {
    await start(tokenFor("ada", seconds));
    turnAway(message);
    await pass(0);
    expect(state()).toMatchObject({ status: "closed", reason: { code, detail: message } });
    expect(client.access.getSnapshot()).toMatchObject({ status: "refused", reason: { code } });
    const asked = world.requests.length;
    await pass(120_000);
    world.show(true);
    await pass(120_000);
    expect(world.sockets).toHaveLength(1);
    expect(world.requests).toHaveLength(asked);
  });

  it("is asked for anew when somebody connects again", async () => {
    let token = tokenFor("ada", -5);
    await start(() => token);
    turnAway();
    await pass(0);
    expect(state().status).toBe("closed");
    token = tokenFor("ada", 3600);
    client.reconnect();
    await open();
    welcome();
    expect(tokens().at(-1)).toBe(token);
    expect(client.access.getSnapshot().status).toBe("signed_in");
  });

  it("by REST is replaced once there too", async () => {
    const old = tokenFor("ada", 3600, "old");
    const fresh = tokenFor("ada", 3600, "fresh");
    let made = 0;
    world.answer = (_path, _tag, token) =>
      token === fresh ? Response.json({ accounts: [] }) : Response.json({ detail: "no" }, { status: 401 });
    await start(() => (made++ === 0 ? old : fresh));
    await pass(20);
    expect(made).toBe(2);
    expect(client.access.getSnapshot().status).toBe("signed_in");
    expect(client.reach.getSnapshot()).toBe("reached");
  });

  it("by REST, and no other, is the end of asking", async () => {
    const problem = { detail: "the token has expired", hint: "Get a new one." };
    world.answer = () => Response.json(problem, { status: 401 });
    await start(tokenFor("ada", 3600));
    await pass(20);
    const reason = { code: "token_expired", detail: "The token has expired. Get a new one." };
    expect(client.access.getSnapshot()).toMatchObject({ status: "refused", reason });
    const asked = world.requests.length;
    await pass(60_000);
    expect(world.requests).toHaveLength(asked);
  });
});

describe("a source of tokens", () => {
  it("that fails is asked again with patience", async () => {
    let made = 0;
    client = new ThorClient({
      token: () => {
        if (++made < 3) throw new Error("away");
        return tokenFor("ada", 3600);
      },
      environment: world.environment,
    });
    client.start();
    await pass(0);
    expect(state()).toMatchObject({ status: "waiting", reason: { code: "token_unavailable" } });
    expect(world.sockets).toHaveLength(0);
    await pass(2000);
    expect(world.sockets).toHaveLength(1);
  });

  it("that has none opens nothing", async () => {
    client = new ThorClient({ token: () => undefined, environment: world.environment });
    client.start();
    await pass(1000);
    expect(state()).toMatchObject({ status: "closed", reason: { code: "unauthorized" } });
    expect(world.sockets).toHaveLength(0);
    expect(world.requests).toHaveLength(0);
  });

  it("that answers too late for an attempt opens nothing", async () => {
    let give = (_: string): void => {};
    client = new ThorClient({
      token: () => new Promise<string>((resolve) => (give = resolve)),
      environment: world.environment,
    });
    const stop = client.start();
    await pass(0);
    stop();
    await pass(10);
    give(tokenFor("ada", 3600));
    await pass(10);
    expect(state().status).toBe("idle");
    expect(world.sockets).toHaveLength(0);
  });

  it("that gives somebody else's token stops the client: it is one person's", async () => {
    let who = "ada";
    await start(() => tokenFor(who, 3600));
    welcome();
    who = "bob";
    await client.renewToken();
    expect(tokens()).toHaveLength(1);
    expect(client.access.getSnapshot()).toMatchObject({ status: "refused", reason: { code: "other_subject" } });
    await pass(1000);
    expect(state()).toMatchObject({ status: "closed", reason: { code: "other_subject" } });
  });

  it("may have another name for somebody than the server", async () => {
    await start(tokenFor("4711", 3600));
    world.socket.say({ type: "authenticated", id: "auth", data: { sub: "ada", roles: ["operator"] } }, hello());
    const identity = { subject: "ada", roles: ["operator"] }; // its claims may have other names, too
    expect(client.access.getSnapshot()).toMatchObject({ status: "signed_in", identity });
  });

  it("whose token the server knows as somebody else's is not followed", async () => {
    let note = "first";
    await start(() => tokenFor("4711", 3600, note));
    welcome("ada");
    note = "second";
    await client.renewToken();
    world.socket.say(authenticated("bob"));
    expect(state()).toMatchObject({ status: "closed", reason: { code: "other_subject" } });
  });
});

/** Lets time pass on a server that speaks. */
async function alive(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 5000) {
    await pass(Math.min(5000, left));
    world.socket.say(heartbeat());
  }
}
