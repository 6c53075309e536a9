/** A clock that shows a time and runs at a speed. */
export interface SourceTime {
  /** What it showed, in ms. */
  time: number;
  /** When it showed that, by the client's clock. */
  at: number;
  speed: number;
}

/**
 * Clock translates between this machine's clock and the server's two: the wall
 * clock events are stamped with, and the source's, which may be virtual.
 */
export class Clock {
  readonly #now: () => number;
  #aheadMs = 0; // the server's wall clock, against ours
  #source: SourceTime | undefined;
  #virtual = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The server's wall clock shows this now. */
  setServer(time: number): void {
    if (Number.isFinite(time)) this.#aheadMs = time - this.#now();
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

  /** What the source's clock shows now; it is the server's wall clock unless it is virtual. */
  sourceNow(): number {
    const now = this.#now();
    if (!this.#virtual || this.#source === undefined) return now + this.#aheadMs;
    return this.#source.time + (now - this.#source.at) * this.#source.speed;
  }
}
