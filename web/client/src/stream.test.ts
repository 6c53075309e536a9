import { describe, expect, it } from "vitest";
import { features } from "./generated.ts";
import type { Frame } from "./messages.ts";
import { shapeOf } from "./shape.ts";
import { Stream } from "./stream.ts";
import { balance, balanceSnapshot, bar } from "./testing/frames.ts";

const [balances, , bars] = features;

function balanceStream(): Stream {
  const stream = new Stream(shapeOf(balances), 1000);
  stream.apply(balanceSnapshot(10, 100) as Frame, 0);
  return stream;
}

const equityOf = (stream: Stream): number => (stream.values.view() as { equity: number }).equity;

describe("a stream", () => {
  it("follows a seq that rises by one", () => {
    const stream = balanceStream();
    expect(stream.apply(balance(11, 101) as Frame, 0)).toHaveProperty("applied.length", 1);
    expect(stream.version).toEqual({ epoch: "e1", seq: 11 });
    expect(equityOf(stream)).toBe(101);
  });

  it("ignores what it knows already", () => {
    const stream = balanceStream();
    expect(stream.apply(balance(10, 99) as Frame, 0)).toBe("ignored");
    expect(stream.apply(balance(3, 98) as Frame, 0)).toBe("ignored");
    expect(equityOf(stream)).toBe(100);
  });

  it("finds a hole nobody has told of", () => {
    const stream = balanceStream();
    expect(stream.apply(balance(12, 102) as Frame, 0)).toBe("hole");
    expect(equityOf(stream)).toBe(100);
  });

  it("takes a gap for what it is", () => {
    const stream = balanceStream();
    expect(stream.gap(11, 20)).toBe(true);
    expect(stream.apply(balance(15, 105) as Frame, 0)).toHaveProperty("applied.length", 1); // of another key there would be more
    expect(stream.apply(balance(20, 110) as Frame, 0)).toHaveProperty("applied.length", 1);
    expect(stream.apply(balance(21, 111) as Frame, 0)).toHaveProperty("applied.length", 1);
    expect(stream.apply(balance(23, 113) as Frame, 0)).toBe("hole");
  });

  it("finds a hole before a gap", () => {
    expect(balanceStream().gap(12, 20)).toBe(false);
  });

  it("does not mix epochs", () => {
    const stream = balanceStream();
    expect(stream.apply({ ...balance(11, 1), epoch: "e2" } as Frame, 0)).toBe("hole");
  });

  it("swaps a snapshot in with its last part", () => {
    const stream = new Stream(shapeOf(bars), 1000);
    const minutes = ["15:00", "15:01", "15:02"];
    const part = (i: number, extra = {}) =>
      bar(i + 1, minutes[i] ?? "", i, { snapshot: true, part: i + 1, parts: 3, ...extra }) as Frame;
    expect(stream.apply(part(0), 0)).toBe("collected");
    expect(stream.apply(part(1), 0)).toBe("collected");
    expect(stream.values.view()).toBeUndefined();
    const last = part(2, { at: 9 });
    expect(stream.apply(last, 0)).toEqual({
      applied: [part(0), part(1), last].map((f) => ({ ...f, ts: expect.any(Number) })),
    });
    expect(stream.values.view()).toHaveLength(3);
    expect(stream.version?.seq).toBe(9);
  });

  it("does not take a snapshot with a part missing", () => {
    const stream = balanceStream();
    const frame = balance(12, 1, { snapshot: true, part: 2, parts: 2, at: 12 });
    expect(stream.apply(frame as Frame, 0)).toBe("hole");
    expect(equityOf(stream)).toBe(100);
  });

  it("replaces bars by minute and keeps the newest 1,440", () => {
    const stream = new Stream(shapeOf(bars), 1000);
    stream.apply(bar(1, "00:00", 0, { snapshot: true, part: 1, parts: 1, at: 1 }) as Frame, 0);
    stream.apply(bar(2, "00:00", 7) as Frame, 0);
    expect(stream.values.view()).toMatchObject([{ close: 7 }]);
    const start = Date.parse("2026-11-23T00:01:00Z");
    for (let i = 0; i < 1500; i++) {
      const minute = new Date(start + i * 60_000).toISOString().replace(".000", "");
      const frame = bar(3 + i, "", i) as Frame<string, { timestamp_minute: string }>;
      frame.data.timestamp_minute = minute;
      expect(stream.apply(frame, 0)).toHaveProperty("applied.length", 1);
    }
    const view = stream.values.view() as { close: number }[];
    expect(view).toHaveLength(1440);
    expect(view.at(-1)?.close).toBe(1499);
    expect(view[0]?.close).toBe(60);
  });

  it("hands out the same reference until something changes", () => {
    const stream = balanceStream();
    const view = stream.values.view();
    expect(stream.values.view()).toBe(view);
    stream.apply(balance(11, 101) as Frame, 0);
    expect(stream.values.view()).not.toBe(view);
  });

  it("is mute when it is behind the same tip on two heartbeats", () => {
    const stream = balanceStream();
    expect(stream.compare(12, 0)).toBe(true); // they may be on their way
    expect(stream.compare(13, 0)).toBe(false);
    expect(stream.silent(0)).toBe(true);
    stream.apply(balance(11, 101) as Frame, 0);
    expect(stream.silent(0)).toBe(false);
  });

  it("is not mute when it goes on under another epoch, whose seqs begin again", () => {
    const again = balanceStream();
    again.compare(10, 0);
    again.restart(0);
    expect(again.apply({ ...balanceSnapshot(1, 7), epoch: "e2", at: 1 } as Frame, 0)).toHaveProperty("applied");
    expect(again.compare(1, 0)).toBe(true);
    const asked = balanceStream();
    asked.compare(10, 0);
    asked.subscribed({ epoch: "e2", seq: 0 }, false);
    expect(asked.compare(0, 0)).toBe(true);
  });

  it("is silent when nothing comes for longer than the cadence explains", () => {
    const stream = balanceStream();
    expect(stream.silent(10_000)).toBe(false);
    expect(stream.silent(10_001)).toBe(true);
  });

  it("is not silent when its newest bar is final: the market has closed", () => {
    const stream = new Stream(shapeOf(bars), 1000);
    const final = bar(1, "21:00", 5, { snapshot: true, part: 1, parts: 1, at: 1 }) as Frame<string, object>;
    stream.apply({ ...final, data: { ...final.data, final: true } }, 0);
    expect(stream.silent(3_600_000)).toBe(false);
  });
});
