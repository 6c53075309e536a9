import { expect, type Page } from "@playwright/test";
import { test } from "../fixtures.ts";

// The browser's own WebSocket, without our client: what anybody's page gets.

/** What a page of its own sees of a connection: until it has seen all of some types, or the connection ends. */
function watch(page: Page, address: string, protocols: string[], wanted: string[]) {
  return page.evaluate(
    ({ address, protocols, wanted }) =>
      new Promise<{ protocol: string; extensions: string; types: string[]; code: number; reason: string }>(
        (resolve) => {
          const socket = new WebSocket(address, protocols);
          const types: string[] = [];
          const missing = new Set(wanted);
          socket.onmessage = ({ data }) => {
            const { type } = JSON.parse(data);
            if (!types.includes(type)) types.push(type);
            missing.delete(type);
            if (missing.size === 0 && wanted.length > 0) socket.close(4000, "seen");
          };
          socket.onclose = ({ code, reason }) =>
            resolve({ protocol: socket.protocol, extensions: socket.extensions, types, code, reason });
        },
      ),
    { address, protocols, wanted },
  );
}

test.beforeEach(async ({ page, server }) => {
  await page.goto(`${server.url}/healthz`); // the server's origin, and nothing of ours in it
});

for (const protocols of [[], ["thor.v1"]]) {
  test(`new WebSocket(url, ${JSON.stringify(protocols)}) gets hello and every feature`, async ({ page, server }) => {
    const features = ["account_balance", "positions", "intraday_bar", "market_status"];
    const seen = await watch(page, `${server.url.replace("http", "ws")}/ws/`, protocols, features);
    expect(seen.protocol).toBe(protocols[0] ?? "");
    expect(seen.extensions).toBe(""); // Chromium offers compression
    expect(seen.types[0]).toBe("hello");
    expect(seen.types).toEqual(expect.arrayContaining(features));
    expect(seen).toMatchObject({ code: 4000 }); // the server's answer to our close: 1006 would be none
  });
}

for (const [query, protocols] of [
  ["?v=2", []],
  ["", ["thor.v9"]],
] as const) {
  test(`a page sees why its version is refused: ${query}${protocols}`, async ({ page, server }) => {
    const seen = await watch(page, `${server.url.replace("http", "ws")}/ws/${query}`, [...protocols], []);
    expect(seen).toMatchObject({
      code: 4406,
      reason: "this server speaks version 1: ?v=1 or the subprotocol thor.v1",
      types: [],
    });
  });
}

test("a page sees the server's close, and a message in many frames' worth of bytes", async ({ page, server }) => {
  const url = `${server.url.replace("http", "ws")}/ws/`;
  const answers = await page.evaluate(
    (url) =>
      new Promise<{ pong: string; code: number }>((resolve) => {
        const socket = new WebSocket(url);
        let pong = "";
        socket.onmessage = ({ data }) => {
          const message = JSON.parse(data);
          if (message.type === "hello") socket.send(JSON.stringify({ type: "ping", n: "κ".repeat(5000) }));
          if (message.type !== "pong") return;
          pong = message.n;
          socket.send(new Uint8Array([1, 2, 3]));
        };
        socket.onclose = ({ code }) => resolve({ pong, code });
      }),
    url,
  );
  expect(answers).toEqual({ pong: "κ".repeat(5000), code: 1003 });
});
