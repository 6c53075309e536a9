// A thor server as npm's ws sees it, the WebSocket library most servers of the
// JavaScript world are written with. It holds every frame to RFC 6455 itself.
//
//   THOR_URL=http://localhost:8000 node --test interop.mjs
import assert from "node:assert/strict";
import { once } from "node:events";
import { test as within } from "node:test";
import WebSocket from "ws";

const url = `${process.env.THOR_URL.replace(/^http/, "ws")}/ws/`;

const test = (name, act) => within(name, { timeout: 20_000 }, act);

/** Connects, and gives messages one by one. */
async function connect(t, address = url, protocols = [], options = {}) {
  const socket = new WebSocket(address, protocols, options);
  t.after(() => socket.terminate());
  const messages = [];
  let arrived = () => {};
  socket.on("message", (data, isBinary) => {
    assert.equal(isBinary, false);
    messages.push(JSON.parse(data.toString()));
    arrived();
  });
  const closed = once(socket, "close").then(([code, reason]) => ({ code, reason: reason.toString() }));
  await once(socket, "open");
  /** The next message of which something holds; what came before it is passed over. */
  async function next(holds) {
    for (;;) {
      const message = messages.shift();
      if (message === undefined) await new Promise((resolve) => (arrived = resolve));
      else if (holds(message)) return message;
    }
  }
  const say = (message) => socket.send(JSON.stringify(message));
  return { socket, next, say, closed };
}

const ofType = (type) => (message) => message.type === type;
const of = (stream) => (message) => message.stream === stream;

for (const protocols of [[], ["thor.v1"], ["other", "thor.v1"]]) {
  test(`connects and reads every feature, with the subprotocols ${JSON.stringify(protocols)}`, async (t) => {
    const { socket, next } = await connect(t, url, protocols);
    assert.equal(socket.protocol, protocols.at(-1) ?? "");
    const hello = await next(() => true);
    assert.equal(hello.type, "hello");
    const missing = new Set(["account_balance", "positions", "intraday_bar", "market_status"]);
    while (missing.size > 0) {
      const message = await next((m) => missing.delete(m.type));
      assert.deepEqual(Object.keys(message).slice(0, 2), ["type", "data"]);
    }
  });
}

test("both pings are answered", async (t) => {
  const { socket, next, say } = await connect(t);
  const pong = once(socket, "pong");
  socket.ping("are you there");
  assert.equal((await pong)[0].toString(), "are you there");
  say({ type: "ping", timestamp: 123, who: "ws" });
  const { ts, ...rest } = await next(ofType("pong"));
  assert.deepEqual(rest, { type: "pong", timestamp: 123, who: "ws" });
  assert.ok(Math.abs(ts - Date.now()) < 60_000);
});

test("a resume goes on where the client was", async (t) => {
  const stream = "account_balance:PAPER-1";
  const first = await connect(t);
  first.say({ type: "subscribe", id: 1, streams: [stream] });
  const { epoch, seq } = await first.next(of(stream));
  first.socket.terminate();
  const second = await connect(t);
  second.say({ type: "subscribe", id: "again", streams: [stream], resume: { [stream]: { epoch, seq } } });
  const answer = await second.next(ofType("subscribed"));
  assert.equal(answer.id, "again");
  assert.equal(answer.data.streams[stream].recovered, true);
  for (let want = seq + 1; want < seq + 4; want++) {
    const message = await second.next((m) => of(stream)(m) || m.type === "gap");
    assert.deepEqual([message.stream, message.epoch, message.seq], [stream, epoch, want]);
  }
});

test("a message in fragments, with a ping between them", async (t) => {
  const { socket, next } = await connect(t);
  const pong = once(socket, "pong");
  socket.send('{"type":', { fin: false });
  socket.ping("between");
  socket.send('"ping","n":', { fin: false });
  socket.send('"κόσμε"}', { fin: true });
  assert.equal((await pong)[0].toString(), "between");
  assert.equal((await next(ofType("pong"))).n, "κόσμε");
});

test("compression is offered, not taken, and not missed", async (t) => {
  const { socket, next } = await connect(t, url, [], { perMessageDeflate: { threshold: 0 } });
  assert.equal(socket.extensions, "");
  await next(ofType("hello"));
});

test("10,000 frames in order, every snapshot whole", async (t) => {
  const { next, say } = await connect(t);
  const { data } = await next(ofType("hello"));
  const streams = Object.keys(data.streams).filter((name) => name.startsWith("intraday:"));
  let frames = 0;
  while (frames < 10_000) {
    say({ type: "subscribe", streams });
    await next(ofType("subscribed"));
    const left = new Set(streams);
    const parts = new Map();
    while (left.size > 0) {
      const message = await next((m) => streams.includes(m.stream));
      frames++;
      if (!left.has(message.stream)) continue; // live again
      const before = parts.get(message.stream) ?? { part: 0, seq: 0 };
      assert.equal(message.part, before.part + 1);
      assert.ok(message.seq > before.seq);
      parts.set(message.stream, message);
      if (message.part === message.parts) left.delete(message.stream);
    }
  }
});

function nonsense(socket) {
  for (let i = 0; i < 10; i++) socket.send("nonsense");
}

/** What a client does, and how the server closes. */
const closes = {
  "a close is echoed": [(s) => s.close(1000, "bye"), 1000],
  "a close without a code is answered": [(s) => s.close(), 1000],
  "a code of the application's is echoed": [(s) => s.close(4321, "κόσμε"), 4321],
  "binary is refused": [(s) => s.send(Buffer.from("{}")), 1003],
  "a frame without a mask is refused": [(s) => s.send("{}", { mask: false }), 1002],
  "what is not UTF-8 is refused": [(s) => s.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false }), 1007],
  "what is too long is refused": [(s) => s.send("x".repeat(16_385)), 1009],
  "persisting nonsense is refused": [nonsense, 4400],
};
for (const [name, [act, code]] of Object.entries(closes)) {
  test(name, async (t) => {
    const { socket, closed } = await connect(t);
    act(socket);
    assert.equal((await closed).code, code);
  });
}

for (const [address, protocols] of [
  [`${url}?v=2`, []],
  [url, ["thor.v9"]],
]) {
  test(`a version that is not spoken is refused: ${address.replace(/^.*\/ws/, "/ws")} ${protocols}`, async (t) => {
    const { closed } = await connect(t, address, protocols);
    assert.deepEqual(await closed, {
      code: 4406,
      reason: "this server speaks version 1: ?v=1 or the subprotocol thor.v1",
    });
  });
}
