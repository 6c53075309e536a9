import { Backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import type { Polling } from "./plan.ts";

/** Times of polling, in ms. */
const times = {
  verify: 60_000,
  verifyJitter: 10_000,
  minBackoff: 1000,
  maxBackoff: 15_000,
};

/**
 * Poller asks again and again, one request at a time: at the cadence, now and
 * then, or until it has worked once. It rests while nobody looks at the page
 * and asks at once when somebody does.
 */
export class Poller {
  readonly #env: Environment;
  readonly #cadenceMs: () => number;
  readonly #ask: (signal: AbortSignal) => Promise<boolean>;
  readonly #backoff: Backoff;
  #polling: Polling = "none";
  #request: AbortController | undefined;
  #due = false; // it was time while the page was hidden
  #done = false; // once has been
  #cancelTimer = (): void => {};

  /** Ask reports whether it worked. */
  constructor(env: Environment, cadenceMs: () => number, ask: (signal: AbortSignal) => Promise<boolean>) {
    this.#env = env;
    this.#cadenceMs = cadenceMs;
    this.#ask = ask;
    this.#backoff = new Backoff(env.random, times.minBackoff, times.maxBackoff);
  }

  /** Polls in another way, beginning after a delay in ms. The same way again changes nothing. */
  set(polling: Polling, delayMs: number): void {
    if (polling === this.#polling) return;
    this.#polling = polling;
    this.#backoff.reset();
    this.#due = false;
    this.#done = false;
    this.#cancelTimer();
    if (polling === "none") return;
    this.#arm(polling === "verify" ? this.#verifyMs() : delayMs);
  }

  /** Asks after a delay, whatever the time, if it asks at all: the server is back. */
  hurry(delayMs: number): void {
    if (this.#polling !== "normal" && (this.#polling !== "once" || this.#done)) return;
    this.#backoff.reset();
    this.#arm(delayMs);
  }

  /** The page is seen again. */
  wake(): void {
    if (!this.#due) return;
    this.#due = false;
    void this.#poll();
  }

  stop(): void {
    this.set("none", 0);
    this.#request?.abort();
    this.#request = undefined;
  }

  #arm(ms: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#env.after(ms, () => {
      if (this.#env.page.hidden()) this.#due = true;
      else void this.#poll();
    });
  }

  async #poll(): Promise<void> {
    if (this.#request !== undefined) return; // the one in flight arms the next
    const request = new AbortController();
    this.#request = request;
    const began = this.#env.now();
    const worked = await this.#ask(request.signal);
    if (this.#request !== request) return; // it was stopped
    this.#request = undefined;
    if (worked) this.#backoff.reset();
    switch (this.#polling) {
      case "normal":
        this.#arm(worked ? Math.max(0, began + this.#cadenceMs() - this.#env.now()) : this.#backoff.next());
        break;
      case "verify":
        this.#arm(this.#verifyMs());
        break;
      case "once":
        this.#done = worked;
        if (!worked) this.#arm(this.#backoff.next());
        break;
      case "none":
        break;
      default:
        this.#polling satisfies never;
    }
  }

  #verifyMs(): number {
    return times.verify + this.#env.random() * times.verifyJitter;
  }
}
