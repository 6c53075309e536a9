import type { Bar } from "@thor/client";

/** A hole between two bars that is longer than this is the end of a session, in ms. */
const pause = 30 * 60_000;

/** The bars of the session the newest bar belongs to. What trades at any hour has the UTC day for one. */
export function sessionOf(bars: readonly Bar[]): readonly Bar[] {
  for (let i = bars.length - 1; i > 0; i--) {
    const bar = bars[i];
    const before = bars[i - 1];
    if (bar === undefined || before === undefined) break;
    const hole = Date.parse(bar.timestamp_minute) - Date.parse(before.timestamp_minute);
    const nextDay =
      bar.country === "Global" && bar.timestamp_minute.slice(0, 10) !== before.timestamp_minute.slice(0, 10);
    if (hole > pause || nextDay) return bars.slice(i);
  }
  return bars;
}

/**
 * The volume-weighted average price since the first bar, at each bar. Undefined
 * until something was traded. It is for a line on a screen: it is computed with
 * binary fractions.
 */
export function runningVWAP(bars: readonly Bar[]): (number | undefined)[] {
  let worth = 0;
  let traded = 0;
  return bars.map(({ vwap, volume }) => {
    if (vwap !== null && volume !== null) {
      worth += vwap * volume;
      traded += volume;
    }
    return traded > 0 ? worth / traded : undefined;
  });
}

/** What a session comes to so far. */
export interface SessionSummary {
  last: Bar;
  open: number | null;
  high: number | null;
  low: number | null;
  volume: number | null;
  vwap: number | null;
  change: number | null;
  changePercent: number | null;
}

export function summarize(bars: readonly Bar[]): SessionSummary | undefined {
  const first = bars[0];
  const last = bars.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const known = (values: readonly (number | null)[]): number[] => values.filter((v) => v !== null);
  const highs = known(bars.map((b) => b.high));
  const lows = known(bars.map((b) => b.low));
  const volumes = known(bars.map((b) => b.volume));
  const change = first.open === null || last.close === null ? null : last.close - first.open;
  return {
    last,
    open: first.open,
    high: highs.length > 0 ? Math.max(...highs) : null,
    low: lows.length > 0 ? Math.min(...lows) : null,
    volume: volumes.length > 0 ? volumes.reduce((sum, v) => sum + v, 0) : null,
    vwap: runningVWAP(bars).at(-1) ?? null,
    change,
    changePercent: change === null || first.open === null || first.open === 0 ? null : (100 * change) / first.open,
  };
}
