import type { Shape } from "./shape.ts";

/** The newest value of each key of one stream. */
export class Values {
  readonly #shape: Shape;
  readonly #byKey = new Map<string, unknown>();
  #keys: string[] = []; // sorted
  #view: unknown;
  #current = false;

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  put(data: unknown): void {
    const key = this.#shape.key(data);
    if (!this.#byKey.has(key)) this.#insert(key);
    this.#byKey.set(key, data);
    this.#current = false;
    while (this.#keys.length > this.#shape.keep) {
      const oldest = this.#keys.shift();
      if (oldest !== undefined) this.#byKey.delete(oldest);
    }
  }

  replace(all: readonly unknown[]): void {
    this.#byKey.clear();
    this.#keys = [];
    this.#current = false;
    for (const data of all) this.put(data);
  }

  /** The one value, or the list in the order of the keys. Unchanged, it is the same reference. */
  view(): unknown {
    if (!this.#current) {
      this.#view = this.#shape.single ? this.newest() : this.#keys.map((key) => this.#byKey.get(key));
      this.#current = true;
    }
    return this.#byKey.size === 0 ? undefined : this.#view;
  }

  /** All values, in no order. */
  all(): readonly unknown[] {
    return [...this.#byKey.values()];
  }

  /** The value of the greatest key. */
  newest(): unknown {
    const key = this.#keys.at(-1);
    return key === undefined ? undefined : this.#byKey.get(key);
  }

  /** The greatest keys, newest first. */
  newestKeys(count: number): string[] {
    return this.#keys.slice(-count).reverse();
  }

  #insert(key: string): void {
    const last = this.#keys.at(-1);
    this.#keys.push(key);
    if (last !== undefined && key < last) this.#keys.sort();
  }
}
