import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ThorClient } from "./client.ts";
import { pass, World } from "./testing/world.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-23T15:30:00Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

function clientIn(world: World): ThorClient {
  return new ThorClient({ baseUrl: "http://thor/", environment: world.environment });
}

const status = (trouble?: object): Response =>
  Response.json({
    features: [{ feature: "positions", ...(trouble === undefined ? {} : { trouble }) }, { feature: "intraday" }],
  });

test("nobody is asked why nothing comes while nobody wants to know", async () => {
  const world = new World();
  const client = clientIn(world);
  await pass(60_000);
  expect(world.asked("/api/status")).toBe(0);

  const end = client.troubles.subscribe(() => {});
  await pass(20_000);
  const asked = world.asked("/api/status");
  expect(asked).toBeGreaterThan(1);
  end();
  end(); // twice is once
  await pass(60_000);
  expect(world.asked("/api/status")).toBe(asked);
});

test("the reason comes, changes and goes by itself", async () => {
  const world = new World();
  const client = clientIn(world);
  const heard: unknown[] = [];
  world.answer = () => status({ kind: "rate_limited", since: "2026-11-23T15:29:00Z", until: "2026-11-23T15:31:00Z" });
  const end = client.troubles.subscribe(() => heard.push(client.troubles.getSnapshot()));
  await pass(0);
  const since = Date.parse("2026-11-23T15:29:00Z");
  expect(client.troubles.getSnapshot()).toEqual({
    positions: { kind: "rate_limited", since, until: since + 120_000 },
  });
  const before = client.troubles.getSnapshot();
  await pass(5000);
  expect(client.troubles.getSnapshot()).toBe(before); // the same is the same
  world.answer = () => status({ kind: "transient", words: "nobody listens" });
  await pass(5000);
  expect(client.troubles.getSnapshot()).toEqual({ positions: { kind: "transient", words: "nobody listens" } });
  world.answer = () => status();
  await pass(5000);
  expect(client.troubles.getSnapshot()).toEqual({});
  expect(heard).toHaveLength(3);
  end();
});

test("what a server said that is gone is not said any more", async () => {
  const world = new World();
  const client = clientIn(world);
  world.answer = () => status({ kind: "transient" });
  const end = client.troubles.subscribe(() => {});
  await pass(0);
  expect(client.troubles.getSnapshot()).toEqual({ positions: { kind: "transient" } });
  world.answer = () => Promise.reject(new Error());
  await pass(5000);
  expect(client.troubles.getSnapshot()).toEqual({});
  // An older server says nothing of it.
  world.answer = () => Response.json({ features: [{ feature: "positions" }] });
  await pass(30_000);
  expect(client.troubles.getSnapshot()).toEqual({});
  end();
  world.answer = () => status({ kind: "transient" });
  const again = client.troubles.subscribe(() => {});
  expect(client.troubles.getSnapshot()).toEqual({});
  await pass(0);
  expect(client.troubles.getSnapshot()).toEqual({ positions: { kind: "transient" } });
  again();
});
