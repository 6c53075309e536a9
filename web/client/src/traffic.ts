import { type Batch, Cell } from "./store.ts";

/** What has come over the WebSocket of one feature. */
export interface FeatureTraffic {
  messages: number;
  /** When the newest was committed, by this machine's clock, in ms. */
  lastAt: number;
}

/** Traffic counts the frames of every feature. It tells of them when asked to, not with every frame. */
export class Traffic {
  readonly counts: Cell<Readonly<Record<string, FeatureTraffic>>>;
  #now: Record<string, FeatureTraffic> = {};
  #changed = false;

  constructor(batch: Batch) {
    this.counts = new Cell<Readonly<Record<string, FeatureTraffic>>>(batch, {});
  }

  count(feature: string, at: number): void {
    const { messages, lastAt } = this.#now[feature] ?? { messages: 0, lastAt: at };
    this.#now[feature] = { messages: messages + 1, lastAt: Math.max(lastAt, at) };
    this.#changed = true;
  }

  tell(): void {
    if (!this.#changed) return;
    this.#changed = false;
    this.counts.set({ ...this.#now });
  }
}
