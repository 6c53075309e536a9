import type { DataSource, Stage } from "./generated.ts";
import { type Batch, Cell, type External } from "./store.ts";

/** Where a feature stands, for this client. */
export interface StageInfo {
  stage: Stage;
  /** What this client is to render. */
  dataSource: DataSource;
  rev: number;
}

/** What one of the channels says of a feature. */
export interface StageNews {
  stage: Stage;
  /** Counts in canary alone; elsewhere it follows from the stage. */
  dataSource?: DataSource;
  rev: number;
  /** Of the store that counts the revs. */
  epoch?: string;
}

/**
 * Stages hears of the stages by two independent channels, the WebSocket and the
 * Cutover header of REST answers, and believes the higher rev. At the same rev
 * the later word counts, for a forced stage keeps its rev. Revs of different
 * stores cannot be compared: then the later word counts too.
 */
export class Stages {
  readonly #batch: Batch;
  readonly #changed: (feature: string, before: StageInfo | undefined, now: StageInfo) => void;
  readonly #cells = new Map<string, Cell<StageInfo | undefined>>();
  readonly #epochs = new Map<string, string>();

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
    const before = this.get(feature);
    const epoch = this.#epochs.get(feature);
    const otherStore = news.epoch !== undefined && epoch !== undefined && news.epoch !== epoch;
    if (before !== undefined && news.rev < before.rev && !otherStore) return;
    if (news.epoch !== undefined) this.#epochs.set(feature, news.epoch);
    const now: StageInfo = { stage: news.stage, dataSource: dataSourceOf(news, before), rev: news.rev };
    if (before?.stage === now.stage && before.dataSource === now.dataSource && before.rev === now.rev) return;
    this.#cell(feature).set(now);
    this.#changed(feature, before, now);
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

/** In canary the assignment stands until another one comes. */
function dataSourceOf(news: StageNews, before: StageInfo | undefined): DataSource {
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

/** Reads a Cutover header: "stage=live, data_source=ws, rev=4". */
export function parseCutover(header: string | null): StageNews | undefined {
  const fields = new Map<string, string>();
  for (const part of (header ?? "").split(",")) {
    const [name, value] = part.split("=");
    if (name !== undefined && value !== undefined) fields.set(name.trim(), value.trim());
  }
  const stage = fields.get("stage");
  const dataSource = fields.get("data_source");
  const rev = Number(fields.get("rev"));
  if (!isStage(stage) || !Number.isSafeInteger(rev)) return undefined;
  return { stage, rev, ...(dataSource === "rest" || dataSource === "ws" ? { dataSource } : {}) };
}

const stages: Record<Stage, true> = {
  off: true,
  shadow: true,
  canary: true,
  live: true,
  rampdown: true,
  complete: true,
};

function isStage(value: string | undefined): value is Stage {
  return value !== undefined && Object.hasOwn(stages, value);
}
