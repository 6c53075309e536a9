import type { Feature } from "./features.ts";
import { streamId } from "./features.ts";
import type { DataSource, Stage } from "./generated.ts";
import { type DataSourceLabel, type Plan, type Polling, planFor, type Readiness, restLabel } from "./plan.ts";
import { Poller } from "./poller.ts";
import { RestSide } from "./restside.ts";
import type { FeedContext, Side } from "./side.ts";
import { type External, Listeners } from "./store.ts";
import { type Stream, sameVersion, type Version } from "./stream.ts";

/** What a component renders of a feature. */
export interface FeatureSnapshot<D = unknown> {
  /** Undefined while nothing is known; it is never taken back for being old. */
  data: D | undefined;
  dataSource: DataSource | undefined;
  label: DataSourceLabel;
  stage: Stage | undefined;
  version: Version | undefined;
  /** When the data was known to be current, by this machine's clock, in ms. */
  asOf: number | undefined;
  /** The data is older than it should be. */
  stale: boolean;
}

export const emptySnapshot: FeatureSnapshot<never> = {
  data: undefined,
  dataSource: undefined,
  label: "None",
  stage: undefined,
  version: undefined,
  asOf: undefined,
  stale: false,
};

/** Times of a feed, in ms. */
const times = {
  /** A connection may be away, and a snapshot on its way, for so long before REST stands in. */
  patience: 2000,
  /** The two sides may miss each other's versions for so long before the WebSocket is taken anyway. */
  grace: 5000,
  /** Between two attempts to wake a silent stream. */
  nudge: 30_000,
  /** After a rest of the page its polls may take so long before anything is called stale. */
  waking: 1500,
  staleMoving: 5000,
  /** Nobody tells the cadence: it may be that of closed markets, five seconds, and a poll behind. */
  staleUntold: 7500,
  staleSettled: 15_000,
  /** Cadence of polls where the feature speaks on change only. */
  pollOnChange: 10_000,
  /** There a change that was announced is asked for when it has come, and again while it is late. */
  afterChange: 250,
  lateChange: 1000,
};

/**
 * Feed is one stream of a feature as it is rendered: it holds the REST side,
 * looks at the WebSocket side, and decides by stage, connection and versions
 * which of them is shown and how REST is polled. REST is polled only while
 * somebody listens.
 */
export class Feed<D = unknown> implements External<FeatureSnapshot<D>> {
  readonly feature: Feature;
  readonly #context: FeedContext;
  readonly #id: string;
  readonly #listeners: Listeners;
  readonly #restSide: RestSide;
  readonly #poller: Poller;
  #snapshot: FeatureSnapshot<D> = emptySnapshot;
  #rendered: DataSource | undefined;
  #restLabel: DataSourceLabel = "REST";
  #held: Side | undefined; // the WebSocket's last word, until REST has spoken after a change to it
  #wantedSince: number | undefined; // the WebSocket is to be shown and could be
  #nudgedAt = 0;
  #hurried = false; // somebody has just begun to look: the first poll does not wait

  constructor(context: FeedContext, feature: Feature, owner: string) {
    this.feature = feature;
    this.#context = context;
    this.#id = streamId(feature.name, owner);
    this.#listeners = new Listeners(context.batch);
    this.#restSide = new RestSide(context, feature, owner);
    this.#poller = new Poller(
      context.env,
      () => this.#pollMs(),
      (signal) => this.#ask(signal),
    );
  }

  readonly getSnapshot = (): FeatureSnapshot<D> => this.#snapshot;

  readonly subscribe = (listener: () => void): (() => void) => {
    const end = this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#context.streams.want(this.#id);
      this.#hurried = true;
      this.evaluate();
      this.#hurried = false;
    }
    return end;
  };

  /** Somebody renders this feed. */
  get observed(): boolean {
    return this.#listeners.size > 0;
  }

  /** Looks at everything again: after a frame, a poll, a change of stage or connection, and as time passes. */
  evaluate(): void {
    const { env, stages, link } = this.#context;
    if (!link.running) return;
    const info = stages.get(this.feature.name);
    if (info === undefined && link.starting) return; // hello comes before any need to poll
    const now = env.now();
    const readiness = this.#readiness(now);
    if (readiness === "down" && link.connected) this.#nudge(now);
    const plan = planFor(info, readiness);
    this.#wantedSince = plan.render === "ws" ? (this.#wantedSince ?? now) : undefined;
    if (plan.render === "rest") this.#renderRest(restLabel(info?.stage, plan.fallback));
    else if (plan.render === "ws" && this.#mayRenderWS(plan, now)) this.#renderWS();
    this.#setPolling(this.#polling(plan));
    this.#refresh(now);
  }

  /** The connection is back: REST will be too. */
  hurry(): void {
    this.#poller.hurry(this.#spread());
  }

  /** The page is seen again. */
  wake(): void {
    this.#poller.wake();
  }

  stop(): void {
    this.#poller.stop();
  }

  #stream(): Stream | undefined {
    return this.#context.streams.attached(this.#id);
  }

  #readiness(now: number): Readiness {
    const { link } = this.#context;
    if (!link.connected) {
      const awaited = link.starting || (this.#rendered === "ws" && now - link.changedAt < times.patience);
      return awaited ? "coming" : "down";
    }
    const stream = this.#stream();
    if (stream?.version !== undefined) return stream.silent(now) ? "down" : "ready";
    return now - Math.max(link.changedAt, stream?.heardAt ?? 0) < times.patience ? "coming" : "down";
  }

  #nudge(now: number): void {
    if (now - this.#nudgedAt < times.nudge) return;
    this.#nudgedAt = now;
    this.#context.streams.nudge(this.#id);
  }

  /** From REST to the WebSocket nothing may jump: both sides hold the same version, or time is up. */
  #mayRenderWS(plan: Plan, now: number): boolean {
    const version = this.#stream()?.version;
    if (this.#rendered === "ws") return true;
    const shown = this.#shownREST();
    if (shown?.data === undefined) return version !== undefined;
    if (sameVersion(version, shown.version)) return true;
    // REST will not catch up, or what is shown is the WebSocket's own last word, or too old to wait for.
    const hopeless = plan.polling === "none" || this.#held !== undefined || this.#snapshot.stale;
    if (hopeless && notOlder(version, shown.version)) return true;
    return version !== undefined && this.#wantedSince !== undefined && now - this.#wantedSince >= times.grace;
  }

  #renderWS(): void {
    this.#rendered = "ws";
    this.#held = undefined;
  }

  /** To REST it goes at once; what was shown stays until REST has answered. */
  #renderRest(label: DataSourceLabel): void {
    if (this.#rendered === "ws") this.#held = this.#wsSide();
    this.#rendered = "rest";
    this.#restLabel = label;
  }

  #polling(plan: Plan): Polling {
    if (!this.observed) return "none";
    const waits = plan.render === "ws" && this.#rendered === "rest"; // for the versions to meet
    return waits && plan.polling === "verify" ? "normal" : plan.polling;
  }

  #setPolling(polling: Polling): void {
    this.#poller.set(polling, this.#spread());
  }

  /** First polls are spread over one cadence, for a change of stage reaches all clients at once. */
  #spread(): number {
    return this.#hurried || this.#snapshot.data === undefined ? 0 : this.#context.env.random() * this.#pollMs();
  }

  #pollMs(): number {
    if (this.feature.cadenceMs > 0) return this.feature.cadenceMs;
    const left = this.#restSide.changesIn();
    if (left < 0) return times.lateChange;
    return Math.min(times.pollOnChange, left + times.afterChange);
  }

  async #ask(signal: AbortSignal): Promise<boolean> {
    const answered = await this.#restSide.ask(signal, this.#stream());
    if (answered === "value") this.#held = undefined;
    this.evaluate();
    return answered !== "nothing";
  }

  #wsSide(): Side | undefined {
    const stream = this.#context.streams.get(this.#id);
    if (stream?.version === undefined) return undefined;
    return {
      data: stream.values.view(),
      version: stream.version,
      eventAt: this.#context.clock.local(stream.ts),
      confirmedAt: stream.confirmedAt,
      settled: stream.settled(),
    };
  }

  #shownREST(): Side | undefined {
    return this.#held?.data === undefined ? this.#restSide.side() : this.#held;
  }

  /** Makes the snapshot anew and tells the listeners when it differs. */
  #refresh(now: number): void {
    const side = this.#rendered === "ws" ? this.#wsSide() : this.#shownREST();
    const known = side?.data !== undefined;
    const asOf = known ? (side.settled ? Math.max(side.eventAt, side.confirmedAt) : side.eventAt) : undefined;
    const next: FeatureSnapshot<D> = {
      data: known ? (side.data as D) : undefined,
      dataSource: known ? this.#rendered : undefined,
      label: known ? (this.#rendered === "ws" ? "WebSocket" : this.#restLabel) : "None",
      stage: this.#context.stages.get(this.feature.name)?.stage,
      version: known ? side.version : undefined,
      asOf,
      stale: asOf !== undefined && this.#stale(now - asOf, side?.settled === true, now),
    };
    if (!equal(this.#snapshot, next)) {
      this.#snapshot = next;
      this.#listeners.changed();
    }
    this.#context.evaluated(this.feature.name);
  }

  /** While the page sleeps, and until its first polls after that, nothing becomes stale. */
  #stale(age: number, settled: boolean, now: number): boolean {
    const told = this.#stream()?.cadenceMs;
    const moving = told
      ? Math.max(3 * told, times.staleMoving)
      : Math.max(3 * this.feature.cadenceMs, times.staleUntold);
    const limit = settled ? Math.max(3 * this.#pollMs(), times.staleSettled) : moving;
    if (age <= limit) return false;
    const { env, link } = this.#context;
    return env.page.hidden() || now - link.wokenAt < times.waking ? this.#snapshot.stale : true;
  }
}

function equal(a: FeatureSnapshot, b: FeatureSnapshot): boolean {
  return (
    a.data === b.data &&
    a.dataSource === b.dataSource &&
    a.label === b.label &&
    a.stage === b.stage &&
    a.asOf === b.asOf &&
    a.stale === b.stale &&
    (a.version === b.version || sameVersion(a.version, b.version))
  );
}

/** Versions of different epochs cannot be compared; the stream's is the server's newest word. */
function notOlder(version: Version | undefined, shown: Version | undefined): boolean {
  if (version === undefined) return false;
  return shown === undefined || version.epoch !== shown.epoch || version.seq >= shown.seq;
}
