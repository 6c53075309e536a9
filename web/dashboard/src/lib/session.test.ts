import type { Bar } from "@thor/client";
import { describe, expect, it } from "vitest";
import { runningVWAP, sessionOf, summarize } from "./session.ts";

function bar(minute: string, values: Partial<Bar> = {}): Bar {
  return {
    symbol: "FUT.ES",
    display: "/ES",
    country: "USA",
    timestamp_minute: minute,
    open: 10,
    high: 12,
    low: 9,
    close: 11,
    volume: 100,
    vwap: 10.5,
    final: true,
    timestamp: minute,
    ...values,
  };
}

describe("a session", () => {
  it("begins behind the last long hole", () => {
    const bars = ["2026-11-20T21:59:00Z", "2026-11-22T23:00:00Z", "2026-11-22T23:02:00Z"].map((m) => bar(m));
    expect(sessionOf(bars)).toEqual(bars.slice(1));
  });

  it("is the UTC day where trading never stops", () => {
    const bars = ["2026-11-22T23:59:00Z", "2026-11-23T00:00:00Z"].map((m) => bar(m, { country: "Global" }));
    expect(sessionOf(bars)).toEqual(bars.slice(1));
  });

  it("is all there is where there is no hole", () => {
    const bars = ["2026-11-23T15:00:00Z", "2026-11-23T15:01:00Z"].map((m) => bar(m));
    expect(sessionOf(bars)).toBe(bars);
    expect(sessionOf([])).toEqual([]);
  });

  it("weighs its average by volume, without what is unknown", () => {
    const bars = [bar("a", { vwap: null }), bar("b", { vwap: 10, volume: 1 }), bar("c", { vwap: 13, volume: 2 })];
    expect(runningVWAP(bars)).toEqual([undefined, 10, 12]);
  });

  it("is summed up, and what is unknown stays unknown", () => {
    const bars = [bar("a"), bar("b", { high: 15, close: 12 })];
    expect(summarize(bars)).toMatchObject({ open: 10, high: 15, low: 9, volume: 200, change: 2, changePercent: 20 });
    expect(summarize([bar("a", { open: null })])).toMatchObject({ change: null, changePercent: null });
    expect(summarize([])).toBeUndefined();
  });
});
