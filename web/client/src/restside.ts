import type { Feature } from "./features.ts";
import type { Answer } from "./rest.ts";
import { type Shape, shapeOf } from "./shape.ts";
import type { FeedContext, Side } from "./side.ts";
import { type Stream, sameVersion, type Version } from "./stream.ts";
import { Values } from "./values.ts";

/** A page of values begins with this many of those that are held: they may have changed since. */
const overlap = 3;

/** RestSide is what REST has said of one stream. */
export class RestSide {
  readonly #context: FeedContext;
  readonly #feature: Feature;
  readonly #owner: string;
  readonly #shape: Shape;
  readonly #values: Values;
  #version: Version | undefined;
  #eventAt = 0;
  #confirmedAt = 0;
  #last: { path: string; tag: string } | undefined; // answered with this tag

  constructor(context: FeedContext, feature: Feature, owner: string) {
    this.#context = context;
    this.#feature = feature;
    this.#owner = owner;
    this.#shape = shapeOf(feature);
    this.#values = new Values(this.#shape);
  }

  side(): Side | undefined {
    const newest = this.#values.newest();
    if (newest === undefined) return undefined;
    return {
      data: this.#values.view(),
      version: this.#version,
      eventAt: this.#eventAt,
      confirmedAt: this.#confirmedAt,
      settled: this.#shape.settled(newest),
    };
  }

  /** How long until one of the values changes, as they say themselves, in ms of ours; negative when it is late. */
  changesIn(): number {
    const times = this.#values
      .all()
      .map((data) => this.#shape.changesAt(data))
      .filter(Number.isFinite);
    return times.length === 0 ? Number.POSITIVE_INFINITY : this.#context.clock.untilSource(Math.min(...times));
  }

  /**
   * Asks once. The answer is a value, that REST is gone for good, or nothing to
   * go by. The stream of the other side knows when an event was committed to
   * the millisecond.
   */
  async ask(signal: AbortSignal, stream: Stream | undefined): Promise<"value" | "gone" | "nothing"> {
    const path = this.#path();
    const tag = this.#last?.path === path ? this.#last.tag : undefined;
    const answer = await this.#context.rest.get(path, signal, tag);
    if (answer === undefined) return "nothing";
    if (answer.cutover !== undefined) {
      this.#context.stages.learn(this.#feature.name, { ...answer.cutover, at: answer.askedAt });
    }
    if (answer.status === 410) return "gone";
    if (answer.status === 200 && !this.#take(answer)) return "nothing";
    if (answer.status !== 200 && answer.status !== 304) return "nothing";
    this.#date(answer, stream);
    if (answer.tag !== undefined) this.#last = { path, tag: answer.tag };
    return "value";
  }

  #path(): string {
    const query = new URLSearchParams();
    if (this.#feature.param !== "") query.set(this.#feature.param, this.#owner);
    const since = this.#shape.paged ? this.#values.newestKeys(overlap).at(-1) : undefined;
    if (since !== undefined) query.set("since", since);
    return query.size === 0 ? this.#feature.path : `${this.#feature.path}?${query}`;
  }

  #take(answer: Answer): boolean {
    const list = this.#listOf(answer.body);
    if (list === undefined) return false;
    if (!this.#shape.paged) {
      this.#values.replace(list);
      return true;
    }
    if (this.#version !== undefined && this.#version.epoch !== answer.version?.epoch) {
      this.#values.replace([]); // a page of another store's history: the next one is whole
      this.#version = undefined;
      return false;
    }
    for (const data of list) this.#values.put(data);
    return true;
  }

  #listOf(body: unknown): readonly unknown[] | undefined {
    if (typeof body !== "object" || body === null) return undefined;
    if (this.#shape.single) return [body];
    const list = (body as Record<string, unknown>)[this.#feature.list];
    return Array.isArray(list) ? list : undefined;
  }

  /** Age has whole seconds: a version keeps the time it was first given. */
  #date(answer: Answer, stream: Stream | undefined): void {
    this.#confirmedAt = answer.askedAt;
    if (answer.version !== undefined && sameVersion(answer.version, stream?.version)) {
      this.#eventAt = this.#context.clock.local(stream?.ts ?? 0);
    } else if (this.#eventAt === 0 || answer.version === undefined || !sameVersion(answer.version, this.#version)) {
      this.#eventAt = answer.askedAt - (answer.age ?? 0) * 1000;
    }
    this.#version = answer.version;
  }
}
