/** A clock that shows a time and runs at a speed. */
export interface SourceTime {
  /** What it showed, in ms. */
  time: number;
  /** When it showed that, by the client's clock. */
  at: number;
  speed: number;
}

/** Times of the comparison, in ms. */
const times = {
  /** Clocks drift: what was compared longer ago does not count. */
  window: 5 * 60_000,
  /** No message is on its way for so long: one of the clocks was set. */
  jump: 60_000,
};

/**
 * Clock translates between this machine's clock and the server's two: the wall
 * clock events are stamped with, and the source's, which may be virtual.
 *
 * A time the server says is older by its way to us when we read it. Of all
 * comparisons the one with the shortest way counts, or a delay would cancel
 * itself out and what came late would look fresh.
 */
export class Clock {
  readonly #now: () => number;
  #aheadMs = 0; // the server's wall clock, against ours
  #compared: { at: number; aheadMs: number }[] = [];
  #source: SourceTime | undefined;
  #virtual = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The server's wall clock showed this a moment ago. */
  setServer(time: number): void {
    if (!Number.isFinite(time)) return;
    const at = this.#now();
    const aheadMs = time - at;
    if (Math.abs(aheadMs - this.#aheadMs) > times.jump) this.#compared = [];
    this.#compared = this.#compared.filter((c) => c.at <= at && at - c.at < times.window);
    this.#compared.push({ at, aheadMs });
    this.#aheadMs = Math.max(...this.#compared.map((c) => c.aheadMs));
  }

  /** The source's clock shows this now. */
  setSource(time: number, speed: number, virtual: boolean): void {
    if (!Number.isFinite(time)) return;
    this.#virtual = virtual;
    this.#source = { time, at: this.#now(), speed };
  }

  /** A time of the server's wall clock, by our clock. */
  local(serverTime: number): number {
    return serverTime - this.#aheadMs;
  }

  /** How long until the source's clock shows a time, in ms of ours. */
  untilSource(time: number): number {
    const speed = this.#virtual && this.#source !== undefined ? this.#source.speed : 1;
    if (speed === 0) return Number.POSITIVE_INFINITY; // of a replay that is over
    return (time - this.sourceNow()) / speed;
  }

  /** What the source's clock shows now; it is the server's wall clock unless it is virtual. */
  sourceNow(): number {
    const now = this.#now();
    if (!this.#virtual || this.#source === undefined) return now + this.#aheadMs;
    return this.#source.time + (now - this.#source.at) * this.#source.speed;
  }
}
