import { type Feature, parseStreamId } from "./features.ts";
import type { Frame, GapMessage, HelloMessage, ResetMessage, SubscribeCommand, SubscribedMessage } from "./messages.ts";
import { type Shape, shapeOf } from "./shape.ts";
import { Stream } from "./stream.ts";

/** The stream of the changes of stages. It lies beside the features. */
export const cutoverStream = "cutover";

const cutoverFeature: Feature = {
  name: cutoverStream,
  type: "cutover",
  path: "",
  param: "",
  list: "features",
  key: "feature",
  window: 0,
  cadenceMs: 0,
  private: false,
};

/** At most so many streams go into one command, whose size the server bounds. */
const maxStreams = 64;

/** A stream that does not fit together is asked for again at most this often, in ms. */
const askEvery = 1000;

interface Options {
  features: readonly Feature[];
  /** The name this client gives itself. */
  name: string;
  now(): number;
  send(command: SubscribeCommand): boolean;
  /** Reports whether jobs publish a feature; its streams do not exist otherwise. */
  publishes(feature: string): boolean;
  /** Reports whether somebody renders a stream. */
  rendered(id: string): boolean;
}

/**
 * Streams follows every stream there is for this client: it subscribes, with
 * what it holds as the point to resume from, and asks again whenever something
 * is missing. Frames come in order and through here alone.
 */
export class Streams {
  readonly #options: Options;
  readonly #features = new Map<string, { feature: Feature; shape: Shape }>();
  readonly #streams = new Map<string, Stream>();
  readonly #attached = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #requests = new Map<string, readonly string[]>();
  /**
   * Histories nobody looks at: they are long, and everything else would wait
   * behind them. One is asked for when the one before is there.
   */
  readonly #later = new Set<string>();
  #loading: string | undefined;
  #lastRequest = 0;

  constructor(options: Options) {
    this.#options = options;
    for (const feature of [...options.features, cutoverFeature]) {
      this.#features.set(feature.name, { feature, shape: shapeOf(feature) });
    }
  }

  /** The stream, when this connection follows it. */
  attached(id: string): Stream | undefined {
    return this.#attached.has(id) ? this.#streams.get(id) : undefined;
  }

  /** The stream, when it was ever heard of. */
  get(id: string): Stream | undefined {
    return this.#streams.get(id);
  }

  /** Follows all streams the server names; it comes with every connection. */
  hello(streams: HelloMessage["data"]["streams"]): void {
    this.disconnected();
    for (const [id, { cadence_ms }] of Object.entries(streams)) this.#learn(id, cadence_ms);
    this.#askInTurn(Object.keys(streams).filter((id) => this.#streams.has(id)));
  }

  disconnected(): void {
    this.#attached.clear();
    this.#refused.clear();
    this.#requests.clear();
    this.#later.clear();
    this.#loading = undefined;
    for (const stream of this.#streams.values()) {
      stream.asked = false;
      stream.awaited = false;
    }
  }

  /** Follows streams somebody else knows of. */
  discover(ids: Iterable<string>): void {
    for (const id of ids) this.#learn(id);
    this.#followAll();
  }

  /** Follows a feature's streams again, which have come back from off. */
  revive(feature: string): void {
    for (const id of this.#streams.keys()) {
      if (parseStreamId(id).feature === feature) this.#refused.delete(id);
    }
    this.#followAll();
  }

  subscribed(message: SubscribedMessage): void {
    const id = String(message.id);
    const asked = this.#requests.get(id) ?? [];
    this.#requests.delete(id);
    for (const name of asked) {
      const stream = this.#streams.get(name);
      const answer = message.data.streams[name];
      if (stream === undefined) continue;
      if (answer === undefined) {
        stream.asked = false;
        this.#refused.add(name); // off, or not ours; the error beside it cannot say which
        this.#attached.delete(name);
        continue;
      }
      if (!this.#attached.has(name)) stream.attach(this.#options.now());
      this.#attached.add(name);
      stream.subscribed({ epoch: answer.epoch, seq: answer.seq }, answer.recovered === true);
    }
    this.#askLater();
  }

  /** A command was refused as a whole: its streams stay away until something has changed. */
  failed(id: string): void {
    for (const name of this.#requests.get(id) ?? []) {
      const stream = this.#streams.get(name);
      if (stream !== undefined) stream.asked = false;
      this.#refused.add(name);
    }
    this.#requests.delete(id);
    this.#askLater();
  }

  /** Takes a frame and returns those whose values stand now: itself, or all parts of its snapshot. */
  frame(frame: Frame): readonly Frame[] {
    const stream = this.attached(frame.stream);
    if (stream === undefined) return [];
    const verdict = stream.apply(frame, this.#options.now());
    if (verdict === "hole") this.#askAgain(frame.stream, stream);
    if (typeof verdict !== "object") return [];
    if (frame.stream === this.#loading) this.#askLater();
    return verdict.applied;
  }

  gap({ data }: GapMessage): void {
    const stream = this.attached(data.stream);
    if (stream?.gap(data.from, data.to) === false) this.#askAgain(data.stream, stream);
  }

  reset({ data }: ResetMessage): void {
    if (data.reason === "off") this.#attached.delete(data.stream);
    else this.#streams.get(data.stream)?.restart(this.#options.now());
  }

  /**
   * Compares with where the server said its public streams stood, at a time by
   * the client's clock. Of the others a heartbeat says only that nothing is on
   * its way before it.
   */
  heartbeat(tips: Readonly<Record<string, { seq: number; cadence_ms: number }>>, at: number): void {
    for (const [id, tip] of Object.entries(tips)) {
      this.#learn(id, tip.cadence_ms);
      this.#refused.delete(id);
      const stream = this.attached(id);
      if (stream !== undefined && !stream.compare(tip.seq, at)) this.#askAgain(id, stream);
    }
    for (const id of this.#attached) {
      const stream = this.#streams.get(id);
      if (stream !== undefined && !(id in tips)) stream.confirmedAt = Math.max(stream.confirmedAt, at);
    }
    this.#followAll();
  }

  /** Learns how often streams speak from now on. */
  cadence(streams: Readonly<Record<string, { cadence_ms: number }>>): void {
    for (const [id, { cadence_ms }] of Object.entries(streams)) this.#learn(id, cadence_ms);
  }

  /** Somebody renders a stream from now on: it does not wait for its turn. */
  want(id: string): void {
    if (this.#later.delete(id)) this.#ask([id]);
  }

  /** Asks again for a stream that has fallen silent. */
  nudge(id: string): void {
    const stream = this.attached(id);
    if (stream !== undefined) this.#askAgain(id, stream);
  }

  #learn(id: string, cadenceMs?: number): void {
    const known = this.#features.get(parseStreamId(id).feature);
    if (known === undefined) return; // a feature this build does not know
    const stream = this.#streams.get(id);
    if (stream === undefined) this.#streams.set(id, new Stream(known.shape, cadenceMs ?? known.feature.cadenceMs));
    else if (cadenceMs !== undefined) stream.cadenceMs = cadenceMs;
  }

  #followAll(): void {
    const missing: string[] = [];
    for (const [id, stream] of this.#streams) {
      if (this.#attached.has(id) || this.#refused.has(id) || stream.asked || this.#later.has(id)) continue;
      if (id === cutoverStream || this.#options.publishes(parseStreamId(id).feature)) missing.push(id);
    }
    this.#askInTurn(missing);
  }

  /** Asks for all but the histories nobody looks at, and for those one after the other. */
  #askInTurn(ids: readonly string[]): void {
    const patient = (id: string): boolean =>
      (this.#features.get(parseStreamId(id).feature)?.feature.window ?? 0) > 0 && !this.#options.rendered(id);
    this.#ask(ids.filter((id) => !patient(id)));
    for (const id of ids.filter(patient)) this.#later.add(id);
    this.#askLater();
  }

  #askLater(): void {
    const loading = this.#loading === undefined ? undefined : this.#streams.get(this.#loading);
    if (loading?.asked || loading?.awaited) return;
    const [next] = this.#later;
    this.#loading = next;
    if (next === undefined) return;
    this.#later.delete(next);
    this.#ask([next]);
  }

  #askAgain(id: string, stream: Stream): void {
    if (!stream.asked && this.#options.now() - stream.askedAt >= askEvery) this.#ask([id]);
  }

  #ask(ids: readonly string[]): void {
    for (let from = 0; from < ids.length; from += maxStreams) {
      const streams = ids.slice(from, from + maxStreams);
      const resume: SubscribeCommand["resume"] = {};
      for (const id of streams) {
        const version = this.#streams.get(id)?.version;
        if (version !== undefined) resume[id] = { epoch: version.epoch, seq: version.seq };
      }
      const id = String(++this.#lastRequest);
      this.#requests.set(id, streams);
      if (!this.#options.send({ type: "subscribe", id, client: this.#options.name, streams, resume })) {
        this.#requests.delete(id);
        return;
      }
      if (!this.#requests.has(id)) continue; // it was answered at once
      for (const name of streams) {
        const stream = this.#streams.get(name);
        if (stream === undefined) continue;
        stream.asked = true;
        stream.askedAt = this.#options.now();
      }
    }
  }
}
