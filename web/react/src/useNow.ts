import { useSyncExternalStore } from "react";

/** A clock that ticks for all its readers together, and only while there are any. */
interface Ticker {
  subscribe(listener: () => void): () => void;
  now(): number;
}

const tickers = new Map<number, Ticker>();

function tickerOf(everyMs: number): Ticker {
  const existing = tickers.get(everyMs);
  if (existing !== undefined) return existing;
  const listeners = new Set<() => void>();
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;
  const tick = (): void => {
    now = Date.now();
    for (const listener of [...listeners]) listener();
  };
  const ticker: Ticker = {
    subscribe(listener) {
      listeners.add(listener);
      if (timer === undefined) {
        timer = setInterval(tick, everyMs);
        now = Date.now();
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
    now: () => now,
  };
  tickers.set(everyMs, ticker);
  return ticker;
}

const never = (): number => 0;

/** This machine's clock in ms, which moves every so many ms. On a server it stands at 0. */
export function useNow(everyMs: number): number {
  const ticker = tickerOf(everyMs);
  return useSyncExternalStore(ticker.subscribe, ticker.now, never);
}
