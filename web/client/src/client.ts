import { Clock } from "./clock.ts";
import { Connection } from "./connection.ts";
import { type Access, Credentials } from "./credentials.ts";
import { forget, remember } from "./current.ts";
import { Directory, type Entries } from "./directory.ts";
import { defaultEnvironment, type Environment } from "./environment.ts";
import { type DataOf, type Feature, type PayloadOf, parseStreamId } from "./features.ts";
import { emptySnapshot, type FeatureSnapshot, Feed } from "./feed.ts";
import { type FeatureName, features as generated } from "./generated.ts";
import { type ControlMessage, type Frame, type HelloMessage, isControl, rawData } from "./messages.ts";
import type { ClientOptions } from "./options.ts";
import type { DataSourceLabel } from "./plan.ts";
import { type Reach, Rest } from "./rest.ts";
import type { Link } from "./side.ts";
import { type StageInfo, Stages } from "./stages.ts";
import type { ConnectionState } from "./state.ts";
import { Batch, Cell, type External } from "./store.ts";
import { cutoverStream, Streams } from "./streams.ts";
import { type FeatureTraffic, Traffic } from "./traffic.ts";
import { type FeatureTroubles, Troubles } from "./troubles.ts";
import { emptyView, type FeatureView, viewOf } from "./view.ts";

/** Times of the client, in ms. */
const times = {
  /** How often the passage of time is looked at: ages, silence, grace. */
  tick: 500,
  /** How long hello is awaited before anything is asked by REST. */
  discovery: 1000,
  patience: 2000,
};

/**
 * ThorClient is one page's connection to a thor server: one WebSocket, REST
 * polls where the stages ask for them, and one snapshot of every feature to
 * render. It opens nothing before [start].
 */
export class ThorClient {
  readonly name: string;
  readonly features: readonly Feature[];
  readonly connection: External<ConnectionState>;
  /** Whether the server lets this client in, and as whom. */
  readonly access: External<Access>;
  /** Accounts, symbols and the server's source. */
  readonly directory: External<Entries>;
  /** Whether REST answers. */
  readonly reach: External<Reach>;
  /** Frames of every feature so far. */
  readonly traffic: External<Readonly<Record<string, FeatureTraffic>>>;
  /** Why nothing new comes of a feature; asked for while somebody listens. */
  readonly troubles: External<FeatureTroubles>;
  readonly clock: Clock;
  /** Whether frames of features in shadow are printed to the console. */
  shadowLog: boolean;

  readonly #env: Environment;
  readonly #batch: Batch;
  readonly #credentials: Credentials;
  readonly #connection: Connection;
  readonly #rest: Rest;
  readonly #stages: Stages;
  readonly #streams: Streams;
  readonly #directory: Directory;
  readonly #traffic: Traffic;
  readonly #troubles: Troubles;
  readonly #feeds = new Map<string, Feed>();
  readonly #views = new Map<string, Cell<FeatureView>>();
  readonly #frameListeners = new Map<string, Set<(frame: Frame) => void>>();
  readonly #link: Link = {
    running: false,
    connected: false,
    starting: true,
    changedAt: 0,
    wokenAt: Number.NEGATIVE_INFINITY,
  };
  #starts = 0;
  #startedAt = 0;
  #cancels: (() => void)[] = [];

  constructor(options: ClientOptions = {}) {
    const env: Environment = { ...defaultEnvironment(), ...options.environment };
    if (options.baseUrl !== undefined) env.baseUrl = options.baseUrl;
    this.#env = env;
    this.name = options.name ?? randomName(env.random);
    this.features = options.features ?? generated;
    this.shadowLog = options.shadowLog ?? true;
    this.#batch = new Batch(env.nextFrame);
    this.clock = new Clock(env.now);
    const batch = this.#batch;
    const credentials = new Credentials({
      source: options.token,
      batch,
      now: env.now,
      local: (serverMs) => this.clock.local(serverMs),
    });
    this.#credentials = credentials;
    this.#rest = new Rest({ env, batch, credentials, name: this.name, back: () => this.#connection.wake() });
    this.#stages = new Stages(this.#batch, (feature, before) => this.#stageChanged(feature, before));
    this.#connection = new Connection(
      { env, batch, credentials, name: this.name },
      {
        message: (message, text) => this.#receive(message, text),
        changed: (state) => this.#connectionChanged(state),
      },
    );
    this.#streams = new Streams({
      features: this.features,
      name: this.name,
      now: env.now,
      send: (command) => this.#connection.send(command),
      publishes: (feature) => (this.#stages.get(feature)?.stage ?? "off") !== "off",
      rendered: (id) => {
        const { feature, owner } = parseStreamId(id);
        return this.#feeds.get(`${feature}:${owner}`)?.observed ?? false;
      },
    });
    this.#directory = new Directory({
      env,
      batch: this.#batch,
      rest: this.#rest,
      clock: this.clock,
      features: this.features,
      added: () => this.#streams.discover(this.#directory.streamIds()),
    });
    this.#traffic = new Traffic(this.#batch);
    this.#troubles = new Troubles({ env, batch, rest: this.#rest, clock: this.clock });
    this.connection = this.#connection.state;
    this.access = credentials.access;
    this.directory = this.#directory.entries;
    this.reach = this.#rest.reach;
    this.traffic = this.#traffic.counts;
    this.troubles = this.#troubles;
  }

  /**
   * Connects. The result ends it again; the socket is closed when all who
   * started have ended, a tick later, so that a component may be mounted twice.
   */
  start(): () => void {
    this.#starts++;
    if (!this.#link.running) this.#begin();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#starts--;
      this.#env.after(0, () => {
        if (this.#starts === 0 && this.#link.running) this.#end();
      });
    };
  }

  /** Connects again at once: for people, after a close that waits for them. */
  reconnect(): void {
    this.#credentials.retry();
    if (this.#link.running) this.#connection.start();
  }

  /** There is a newer token: asks for it, and tells the server without another connection. */
  async renewToken(): Promise<void> {
    await this.#credentials.renewNow();
    await this.#connection.renew();
  }

  /** One stream of a feature to render. The owner is an account or a symbol, "" where there is one stream. */
  feed<N extends FeatureName>(feature: N, owner?: string): External<FeatureSnapshot<DataOf<N>>>;
  feed(feature: string, owner?: string): External<FeatureSnapshot>;
  feed(name: string, owner = ""): External<FeatureSnapshot> {
    const key = `${name}:${owner}`;
    let feed = this.#feeds.get(key);
    if (feed === undefined) {
      const feature = this.features.find((f) => f.name === name);
      if (feature === undefined) throw new Error(`there is no feature ${name}`);
      if (feature.param !== "" && owner === "") return nothing; // nobody has chosen yet
      feed = new Feed(
        {
          env: this.#env,
          batch: this.#batch,
          clock: this.clock,
          rest: this.#rest,
          stages: this.#stages,
          streams: this.#streams,
          link: this.#link,
          evaluated: (changed) => this.#refreshView(changed),
        },
        feature,
        owner,
      );
      this.#feeds.set(key, feed);
      feed.evaluate();
    }
    return feed;
  }

  /** Where a feature stands; undefined until somebody has told. */
  stage(feature: string): External<StageInfo | undefined> {
    return this.#stages.follow(feature);
  }

  /** Where a feature is rendered from. */
  view(feature: string): External<FeatureView> {
    return this.#view(feature);
  }

  /** Where a feature is rendered from, as people read it. */
  getDataSource(feature: string): DataSourceLabel {
    return this.#view(feature).getSnapshot().label;
  }

  /** Calls the listener with every frame of a feature that is to be rendered, as it comes. */
  onData<N extends FeatureName>(feature: N, listener: (data: PayloadOf<N>) => void): () => void {
    const all = this.#frameListeners.get(feature) ?? new Set();
    this.#frameListeners.set(feature, all);
    const own = (frame: Frame): void => listener(frame.data as PayloadOf<N>);
    all.add(own);
    return () => all.delete(own);
  }

  #begin(): void {
    this.#link.running = true;
    this.#startedAt = this.#env.now();
    this.#link.starting = true;
    this.#link.changedAt = this.#startedAt;
    remember(this);
    this.#connection.start();
    this.#directory.start();
    this.#cancels = [this.#env.page.watch(() => this.#pageChanged())];
    this.#tick();
  }

  #end(): void {
    this.#link.running = false;
    forget(this);
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
    this.#directory.stop();
    for (const feed of this.#feeds.values()) feed.stop();
    this.#connection.stop();
  }

  #tick(): void {
    const [watch = () => {}] = this.#cancels;
    this.#cancels = [watch, this.#env.after(times.tick, () => this.#tick())];
    if (this.#link.starting && this.#env.now() - this.#startedAt >= times.discovery) this.#link.starting = false;
    void this.#connection.renew();
    this.#traffic.tell();
    this.#evaluateAll();
  }

  #pageChanged(): void {
    if (this.#env.page.hidden()) return;
    this.#link.wokenAt = this.#env.now();
    this.#connection.wake();
    this.#directory.wake();
    this.#troubles.wake();
    for (const feed of this.#feeds.values()) feed.wake();
  }

  #connectionChanged(state: ConnectionState): void {
    const connected = state.status === "connected";
    if (connected !== this.#link.connected) {
      this.#link.connected = connected;
      this.#link.changedAt = this.#env.now();
      if (!connected) {
        this.#streams.disconnected();
        this.#rest.forget();
      }
    }
    if (state.status === "waiting" || state.status === "closed") this.#link.starting = false;
    if (this.#link.running) this.#evaluateAll();
  }

  #receive(message: ControlMessage | Frame, text: string): void {
    if (isControl(message)) this.#control(message);
    else this.#frame(message, text);
  }

  #control(message: ControlMessage): void {
    switch (message.type) {
      case "hello":
        this.#hello(message);
        break;
      case "subscribed":
        this.#streams.subscribed(message);
        break;
      case "gap":
        this.#streams.gap(message);
        break;
      case "reset":
        this.#streams.reset(message);
        break;
      case "assignment": {
        const { feature, data_source, rev } = message.data;
        this.#stages.assign(feature, data_source, rev);
        break;
      }
      case "cutover": {
        const { feature, stage, rev, forced } = message.data;
        this.#stages.learn(feature, {
          stage,
          rev,
          ...(message.epoch === undefined ? {} : { epoch: message.epoch }),
          ...(forced === undefined ? {} : { forced, at: this.#env.now() }),
        });
        if (isFrame(message)) this.#streams.frame(message);
        break;
      }
      case "cadence":
        this.#streams.cadence(message.data.streams);
        break;
      case "heartbeat": {
        const source = this.directory.getSnapshot().source;
        this.clock.setServer(message.ts);
        this.clock.setSource(Date.parse(message.data.timestamp), source?.speed ?? 1, source?.virtual ?? false);
        this.#streams.heartbeat(message.data.streams, Math.min(this.#env.now(), this.clock.local(message.ts)));
        this.#directory.see(Object.keys(message.data.streams));
        break;
      }
      case "error": // a stream that was refused is missing in the answer
        if (message.data.code === "invalid" && message.id !== undefined) this.#streams.failed(String(message.id));
        break;
      case "authenticated":
      case "server_shutdown":
      case "pong":
        break;
      default:
        message satisfies never;
    }
  }

  #hello({ data }: HelloMessage): void {
    this.clock.setServer(Date.parse(data.server_time));
    this.#link.starting = false;
    for (const [feature, { stage, data_source, rev, forced = false }] of Object.entries(data.features)) {
      // Who we are the server learns with the first subscribe: until then an assignment of this rev stands.
      const known = this.#stages.get(feature);
      const assigned = stage === "canary" && known?.stage === stage && known.rev === rev;
      const at = this.#env.now();
      this.#stages.learn(feature, { stage, rev, forced, at, ...(assigned ? {} : { dataSource: data_source }) });
    }
    this.#streams.hello({ ...data.streams, [cutoverStream]: { cadence_ms: 0 } });
    this.#directory.hello(data);
    for (const feed of this.#feeds.values()) feed.hurry();
  }

  #frame(frame: Frame, text: string): void {
    const { feature, owner } = parseStreamId(frame.stream);
    this.#traffic.count(feature, this.clock.local(frame.ts));
    this.#print(feature, frame, text);
    const applied = this.#streams.frame(frame);
    if (applied.length === 0) return;
    const feed = this.#feeds.get(`${feature}:${owner}`);
    if (feed?.observed) feed.evaluate();
    if (this.#view(feature).getSnapshot().dataSource !== "ws") return;
    for (const listener of this.#frameListeners.get(feature) ?? []) for (const each of applied) listener(each);
  }

  /** In shadow what comes is shown to whoever looks, of the snapshot of a history the newest part. */
  #print(feature: string, frame: Frame, text: string): void {
    if (!this.shadowLog || this.#stages.get(feature)?.stage !== "shadow") return;
    const history = this.features.some((f) => f.name === feature && f.window > 0);
    if (history && frame.snapshot === true && frame.part !== frame.parts) return;
    this.#env.print(`[WS] ${frame.type}: ${rawData(text)}`);
  }

  #stageChanged(feature: string, before: StageInfo | undefined): void {
    if (before === undefined || before.stage === "off") this.#streams.revive(feature);
    for (const feed of this.#feeds.values()) if (feed.feature.name === feature) feed.evaluate();
    this.#refreshView(feature);
  }

  #evaluateAll(): void {
    for (const feed of this.#feeds.values()) feed.evaluate();
    for (const { name } of this.features) this.#refreshView(name);
  }

  #view(feature: string): Cell<FeatureView> {
    let view = this.#views.get(feature);
    if (view === undefined) {
      view = new Cell(this.#batch, emptyView);
      this.#views.set(feature, view);
      this.#refreshView(feature);
    }
    return view;
  }

  #refreshView(feature: string): void {
    const cell = this.#view(feature);
    const rendered = [...this.#feeds.values()].filter((f) => f.observed && f.feature.name === feature);
    const { connected, starting, changedAt } = this.#link;
    const awaited = starting || this.#env.now() - changedAt < times.patience;
    const readiness = connected ? "ready" : awaited ? "coming" : "down";
    const after = viewOf(
      this.#stages.get(feature),
      readiness,
      rendered.map((f) => f.getSnapshot()),
    );
    const before = cell.getSnapshot();
    if (before.stage === after.stage && before.dataSource === after.dataSource && before.label === after.label) return;
    cell.set(after);
  }
}

const nothing: External<FeatureSnapshot> = { subscribe: () => () => {}, getSnapshot: () => emptySnapshot };

function isFrame(message: { stream?: string; seq?: number; epoch?: string; ts?: number }): message is Frame {
  return message.stream !== undefined && message.seq !== undefined && message.epoch !== undefined;
}

function randomName(random: () => number): string {
  const part = (): string => Math.floor(random() * 2 ** 32).toString(36);
  return `web-${part()}${part()}`;
}
