import type { Clock } from "./clock.ts";
import type { Environment } from "./environment.ts";
import { Poller } from "./poller.ts";
import type { Rest } from "./rest.ts";
import { type Batch, Cell, type External } from "./store.ts";

/** Why nothing new comes of a feature, though the server answers. */
export interface FeatureTrouble {
  /**
   * What a failure of the source means (transient, rate_limited, auth_required, …), or hung, late, server, outside.
   * There may be others one day.
   */
  kind: string;
  /** When it worked last, by this machine's clock, in ms; undefined when it has not since the server's start. */
  since?: number;
  /** The source is not asked again before, by this machine's clock, in ms. */
  until?: number;
  /** What was asked, what came and what to do; the server tells it to operators alone. */
  words?: string;
}

export type FeatureTroubles = Readonly<Record<string, FeatureTrouble>>;

/** What is read of /api/status. */
interface Status {
  features?: readonly {
    feature: string;
    trouble?: { kind: string; since?: string; until?: string; words?: string };
  }[];
}

/** While somebody wants to know it is asked so often, in ms. */
const askEvery = 5000;

const none: FeatureTroubles = {};

interface Options {
  env: Environment;
  batch: Batch;
  rest: Rest;
  clock: Clock;
}

/** Troubles asks the server why nothing comes, for as long as somebody listens: where all is well nobody needs to. */
export class Troubles implements External<FeatureTroubles> {
  readonly #options: Options;
  readonly #poller: Poller;
  readonly #cell: Cell<FeatureTroubles>;
  #listening = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#cell = new Cell<FeatureTroubles>(options.batch, none);
    this.#poller = new Poller(
      options.env,
      () => askEvery,
      (signal) => this.#ask(signal),
    );
  }

  readonly getSnapshot = (): FeatureTroubles => this.#cell.getSnapshot();

  readonly subscribe = (listener: () => void): (() => void) => {
    const end = this.#cell.subscribe(listener);
    this.#listening++;
    this.#poller.set("normal", 0);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      end();
      this.#listening--;
      if (this.#listening === 0) this.stop();
    };
  };

  /** The page is seen again. */
  wake(): void {
    this.#poller.wake();
  }

  stop(): void {
    this.#poller.stop();
    this.#cell.set(none);
  }

  async #ask(signal: AbortSignal): Promise<boolean> {
    const answer = await this.#options.rest.get("/api/status", signal);
    if (signal.aborted) return false;
    const status = answer?.body as Status | undefined;
    const after: Record<string, FeatureTrouble> = {};
    for (const { feature, trouble } of status?.features ?? []) {
      if (trouble !== undefined) after[feature] = this.#read(trouble);
    }
    // What nobody answers for any more is not known any more.
    if (JSON.stringify(after) !== JSON.stringify(this.getSnapshot())) this.#cell.set(after);
    return status !== undefined;
  }

  #read({
    kind,
    since,
    until,
    words,
  }: {
    kind: string;
    since?: string;
    until?: string;
    words?: string;
  }): FeatureTrouble {
    const local = (text: string): number => Math.round(this.#options.clock.local(Date.parse(text)));
    return {
      kind,
      ...(since === undefined ? {} : { since: local(since) }),
      ...(until === undefined ? {} : { until: local(until) }),
      ...(words === undefined ? {} : { words }),
    };
  }
}
