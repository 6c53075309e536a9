import type { Frame } from "./messages.ts";
import type { Shape } from "./shape.ts";
import { Values } from "./values.ts";

/** The place of an event in its stream. Seqs of different epochs have nothing to do with each other. */
export interface Version {
  epoch: string;
  seq: number;
}

export function sameVersion(a: Version | undefined, b: Version | undefined): boolean {
  return a !== undefined && b !== undefined && a.epoch === b.epoch && a.seq === b.seq;
}

/**
 * What became of a frame: it was known already, it is part of a snapshot that is
 * not complete, something before it is missing; or its value stands, together
 * with those of the other parts of its snapshot.
 */
export type Verdict = "ignored" | "collected" | "hole" | { applied: readonly Frame[] };

/** Stream is what the WebSocket side holds of one stream. */
export class Stream {
  readonly values: Values;
  /** What is held; undefined before the server has told. Seq 0 is a stream without an event. */
  version: Version | undefined;
  cadenceMs: number;
  /** When the newest event was committed, by the server's clock. */
  ts = 0;
  /** When the server last spoke of the stream, by the client's clock. */
  heardAt = 0;
  /** When the server last said that nothing newer exists, by the client's clock. */
  confirmedAt = 0;
  /** A subscribe is under way: until its answer a hole is no news. */
  asked = false;
  /** A snapshot is on its way. */
  awaited = false;
  /** When it was asked for last, by the client's clock. */
  askedAt: number = Number.NEGATIVE_INFINITY;
  /** The server's tip moves and nothing comes. */
  mute = false;
  #covered = 0; // up to this seq a gap has said that entries are left out
  #tip = 0; // of the last heartbeat
  #parts: Frame[] = [];
  #shape: Shape;

  constructor(shape: Shape, cadenceMs: number) {
    this.#shape = shape;
    this.values = new Values(shape);
    this.cadenceMs = cadenceMs;
  }

  apply(frame: Frame, now: number): Verdict {
    const verdict = frame.snapshot === true ? this.#collect(frame) : this.#follow(frame);
    if (typeof verdict === "object") {
      this.ts = Math.max(this.ts, frame.ts);
      this.heardAt = now;
      this.confirmedAt = now;
      this.mute = false;
    }
    return verdict;
  }

  #follow(frame: Frame): Verdict {
    this.#parts = [];
    if (this.version === undefined || this.version.epoch !== frame.epoch) return "hole";
    if (frame.seq <= this.version.seq) return "ignored";
    if (frame.seq > Math.max(this.version.seq, this.#covered) + 1) return "hole";
    this.values.put(frame.data);
    this.version = { epoch: frame.epoch, seq: frame.seq };
    return { applied: [frame] };
  }

  /** Keeps the parts of a snapshot and swaps them in with the last. */
  #collect(frame: Frame): Verdict {
    if (frame.part === 1) this.#parts = [];
    this.#parts.push(frame);
    if (frame.part !== frame.parts) return "collected";
    const parts = this.#parts;
    this.#parts = [];
    if (parts.length !== frame.parts) return "hole";
    this.values.replace(parts.map((part) => part.data));
    if (this.version?.epoch !== frame.epoch) this.#tip = 0; // that was of other seqs
    this.version = { epoch: frame.epoch, seq: frame.at ?? frame.seq };
    this.#covered = 0;
    this.awaited = false;
    this.ts = 0;
    for (const part of parts) this.ts = Math.max(this.ts, part.ts);
    return { applied: parts };
  }

  /** Entries from one seq to another are left out; what they left behind follows. False is that more is missing. */
  gap(from: number, to: number): boolean {
    if (this.version === undefined || from > Math.max(this.version.seq, this.#covered) + 1) return false;
    this.#covered = Math.max(this.#covered, to);
    return true;
  }

  /** The connection follows the stream from now on. */
  attach(now: number): void {
    this.mute = false;
    this.heardAt = now;
    this.#tip = 0;
  }

  /** The answer to a subscribe. Unless it was recovered a snapshot follows, and what is held stays until then. */
  subscribed(at: Version, recovered: boolean): void {
    this.asked = false;
    this.awaited = !recovered && at.seq > 0;
    this.#covered = 0;
    if (recovered) return;
    if (at.seq === 0) {
      if (this.version?.epoch !== at.epoch) this.#tip = 0;
      this.values.replace([]);
      this.version = at;
      return;
    }
    if (this.version?.epoch !== at.epoch) this.version = undefined;
  }

  /** The stream goes on under another epoch; the snapshot follows. */
  restart(now: number): void {
    this.version = undefined;
    this.heardAt = now;
    this.#covered = 0;
  }

  /**
   * Compares with where the server said the stream stood, at a time by the
   * client's clock. False is a stream that is behind the same tip twice.
   */
  compare(tip: number, at: number): boolean {
    const behind = this.version !== undefined && this.version.seq < this.#tip;
    this.#tip = tip;
    if (this.version !== undefined && this.version.seq >= tip) {
      this.confirmedAt = at;
      this.mute = false;
    }
    if (behind && !this.asked) this.mute = true;
    return !this.mute;
  }

  /** Reports whether no frame has come for longer than the cadence explains. */
  silent(now: number): boolean {
    if (this.mute) return true;
    if (this.cadenceMs === 0 || this.settled()) return false;
    return now - this.heardAt > silentAfterMs(this.cadenceMs);
  }

  /** Reports whether nothing is due by cadence after what is held. */
  settled(): boolean {
    const newest = this.values.newest();
    return newest === undefined || this.#shape.settled(newest);
  }
}

/** How long a stream may say nothing before its readers fall back, in ms. */
export function silentAfterMs(cadenceMs: number): number {
  return Math.max(3 * cadenceMs, 10_000);
}
