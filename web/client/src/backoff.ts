/** Backoff with full jitter: any time up to a cap that doubles with every attempt. It never gives up. */
export class Backoff {
  readonly #random: () => number;
  #minMs: number;
  #maxMs: number;
  /** Attempts since the last reset. */
  attempt = 0;

  constructor(random: () => number, minMs: number, maxMs: number) {
    this.#random = random;
    this.#minMs = minMs;
    this.#maxMs = maxMs;
  }

  setBounds(minMs: number, maxMs: number): void {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
  }

  /** How long to wait before the next attempt, in ms. */
  next(): number {
    const cap = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.attempt, 30));
    this.attempt++;
    return this.#random() * cap;
  }

  reset(): void {
    this.attempt = 0;
  }
}
