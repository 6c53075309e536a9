import type { DataSource, Stage } from "./generated.ts";
import { type Batch, Cell, type External } from "./store.ts";

/** Where a feature stands, for this client. */
export interface StageInfo {
  /** In effect: the earlier of stored and forced. */
  stage: Stage;
  /** What this client is to render. */
  dataSource: DataSource;
  rev: number;
  /** The stage is forced; the stored one is a later one. */
  forced?: true;
  /** The stored stage behind a force, when it is known. */
  stored?: Stage;
}

/** What one of the channels says of a feature. */
export interface StageNews {
  stage: Stage;
  /** Counts in canary alone; elsewhere it follows from the stage. */
  dataSource?: DataSource;
  rev: number;
  /** Of the store that counts the revs. */
  epoch?: string;
  /** Whether the stage is forced. Who numbers its news does not say. */
  forced?: boolean;
  /** When it was said, or asked for, by the client's clock: counts for forces, which have no number. */
  at?: number;
}

interface Known {
  stored: { stage: Stage; dataSource: DataSource; rev: number; epoch: string | undefined } | undefined;
  force: { stage: Stage; dataSource: DataSource | undefined; rev: number } | undefined;
  /** When a force was last spoken of. */
  forceAt: number;
}

/**
 * Stages hears of the stages by two independent channels, the WebSocket and the
 * Cutover header of REST answers. Of what is stored it believes the higher rev,
 * at the same rev the later word; revs of different stores cannot be compared:
 * then the later word counts too. A force lies over that, whatever comes when:
 * the earlier of the two stages is in effect until somebody says that the force
 * was lifted.
 */
export class Stages {
  readonly #batch: Batch;
  readonly #changed: (feature: string, before: StageInfo | undefined, now: StageInfo) => void;
  readonly #cells = new Map<string, Cell<StageInfo | undefined>>();
  readonly #known = new Map<string, Known>();

  constructor(batch: Batch, changed: (feature: string, before: StageInfo | undefined, now: StageInfo) => void) {
    this.#batch = batch;
    this.#changed = changed;
  }

  get(feature: string): StageInfo | undefined {
    return this.#cell(feature).getSnapshot();
  }

  follow(feature: string): External<StageInfo | undefined> {
    return this.#cell(feature);
  }

  learn(feature: string, news: StageNews): void {
    const known = this.#of(feature);
    const at = news.at ?? known.forceAt;
    const current = at >= known.forceAt;
    if (news.forced !== undefined && current) {
      known.forceAt = at;
      const dataSource = news.dataSource;
      known.force = news.forced ? { stage: news.stage, dataSource, rev: news.rev } : undefined;
    }
    if (news.forced !== true) store(known, news);
    this.#settle(feature, known);
  }

  /** In canary, which may be forced, this client is told what to render. */
  assign(feature: string, dataSource: DataSource, rev: number): void {
    const known = this.#of(feature);
    if (known.force?.stage === "canary" && known.stored?.stage !== "canary") {
      known.force.dataSource = dataSource;
      this.#settle(feature, known);
      return;
    }
    this.learn(feature, { stage: "canary", dataSource, rev });
  }

  #settle(feature: string, known: Known): void {
    const before = this.get(feature);
    const now = inEffect(known, before);
    if (now === undefined || same(before, now)) return;
    this.#cell(feature).set(now);
    this.#changed(feature, before, now);
  }

  #of(feature: string): Known {
    let known = this.#known.get(feature);
    if (known === undefined) {
      known = { stored: undefined, force: undefined, forceAt: Number.NEGATIVE_INFINITY };
      this.#known.set(feature, known);
    }
    return known;
  }

  #cell(feature: string): Cell<StageInfo | undefined> {
    let cell = this.#cells.get(feature);
    if (cell === undefined) {
      cell = new Cell<StageInfo | undefined>(this.#batch, undefined);
      this.#cells.set(feature, cell);
    }
    return cell;
  }
}

function store(known: Known, news: StageNews): void {
  const before = known.stored;
  const otherStore = news.epoch !== undefined && before?.epoch !== undefined && news.epoch !== before.epoch;
  if (before !== undefined && news.rev < before.rev && !otherStore) return;
  known.stored = {
    stage: news.stage,
    dataSource: dataSourceOf(news, before),
    rev: news.rev,
    epoch: news.epoch ?? before?.epoch,
  };
}

function inEffect({ stored, force }: Known, before: StageInfo | undefined): StageInfo | undefined {
  if (force !== undefined && (stored === undefined || order(force.stage) < order(stored.stage))) {
    return {
      stage: force.stage,
      dataSource: dataSourceOf(force, before),
      rev: stored?.rev ?? force.rev,
      forced: true,
      ...(stored === undefined ? {} : { stored: stored.stage }),
    };
  }
  return stored === undefined ? undefined : { stage: stored.stage, dataSource: stored.dataSource, rev: stored.rev };
}

function same(a: StageInfo | undefined, b: StageInfo): boolean {
  return (
    a?.stage === b.stage &&
    a.dataSource === b.dataSource &&
    a.rev === b.rev &&
    a.forced === b.forced &&
    a.stored === b.stored
  );
}

/** In canary the assignment stands until another one comes. */
function dataSourceOf(
  news: { stage: Stage; dataSource?: DataSource | undefined },
  before: { dataSource: DataSource } | undefined,
): DataSource {
  switch (news.stage) {
    case "off":
    case "shadow":
      return "rest";
    case "canary":
      return news.dataSource ?? before?.dataSource ?? "rest";
    case "live":
    case "rampdown":
    case "complete":
      return "ws";
    default:
      return news.stage satisfies never;
  }
}

/** Reads a Cutover header: "stage=shadow, data_source=rest, rev=4, forced". */
export function parseCutover(header: string | null): StageNews | undefined {
  const fields = new Map<string, string>();
  const parts = (header ?? "").split(",").map((part) => part.trim());
  for (const part of parts) {
    const [name, value] = part.split("=");
    if (name !== undefined && value !== undefined) fields.set(name.trim(), value.trim());
  }
  const stage = fields.get("stage");
  const dataSource = fields.get("data_source");
  const rev = Number(fields.get("rev"));
  if (!isStage(stage) || !Number.isSafeInteger(rev)) return undefined;
  const forced = parts.includes("forced");
  return { stage, rev, forced, ...(dataSource === "rest" || dataSource === "ws" ? { dataSource } : {}) };
}

/** In their order. */
const stages: Record<Stage, true> = {
  off: true,
  shadow: true,
  canary: true,
  live: true,
  rampdown: true,
  complete: true,
};

function order(stage: Stage): number {
  return Object.keys(stages).indexOf(stage);
}

function isStage(value: string | undefined): value is Stage {
  return value !== undefined && Object.hasOwn(stages, value);
}
