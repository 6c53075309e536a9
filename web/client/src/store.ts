/** What React's useSyncExternalStore takes, and anything else that wants to follow a value. */
export interface External<T> {
  /** Calls the listener after the value has changed, at most once per frame. Returns what ends it. */
  subscribe(listener: () => void): () => void;
  /** The value now. The same value is the same reference. */
  getSnapshot(): T;
}

/**
 * Batch tells listeners about changes together, once per frame, however many
 * messages came between. Hidden pages have no frames: there nothing is told
 * until the page is seen again.
 */
export class Batch {
  readonly #nextFrame: (run: () => void) => void;
  #waiting = new Set<() => void>();

  constructor(nextFrame: (run: () => void) => void) {
    this.#nextFrame = nextFrame;
  }

  /** Runs tell with the next frame, once. */
  add(tell: () => void): void {
    if (this.#waiting.size === 0) this.#nextFrame(() => this.#flush());
    this.#waiting.add(tell);
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const tell of waiting) tell();
  }
}

/** The listeners of one value. */
export class Listeners {
  readonly #batch: Batch;
  readonly #listeners = new Set<() => void>();
  readonly #tell = (): void => {
    for (const listener of [...this.#listeners]) listener();
  };

  constructor(batch: Batch) {
    this.#batch = batch;
  }

  get size(): number {
    return this.#listeners.size;
  }

  add(listener: () => void): () => void {
    const own = (): void => listener(); // the same function may listen twice
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  changed(): void {
    if (this.#listeners.size > 0) this.#batch.add(this.#tell);
  }
}

/** One value that can be followed. */
export class Cell<T> implements External<T> {
  readonly #listeners: Listeners;
  #value: T;

  constructor(batch: Batch, value: T) {
    this.#listeners = new Listeners(batch);
    this.#value = value;
  }

  readonly getSnapshot = (): T => this.#value;

  readonly subscribe = (listener: () => void): (() => void) => this.#listeners.add(listener);

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    this.#listeners.changed();
  }
}
