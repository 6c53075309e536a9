import type { DataSource, Stage } from "./generated.ts";
import type { StageInfo } from "./stages.ts";

/** How often REST is asked: at the feature's cadence, now and then, one time, or not at all. */
export type Polling = "normal" | "verify" | "once" | "none";

/**
 * What the WebSocket side can give: data that is up to date, data any moment
 * (keep what is shown), or none (fall back).
 */
export type Readiness = "ready" | "coming" | "down";

/** What to render and how to poll. */
export interface Plan {
  render: DataSource | "keep";
  /** REST stands in for a WebSocket that does not deliver. */
  fallback: boolean;
  polling: Polling;
}

/** The stages from the point of view of a client that renders the WebSocket. */
const pollings: Record<Stage, { polling: Polling; fallback: Polling }> = {
  off: { polling: "normal", fallback: "normal" },
  shadow: { polling: "normal", fallback: "normal" },
  canary: { polling: "normal", fallback: "normal" },
  live: { polling: "verify", fallback: "normal" },
  rampdown: { polling: "none", fallback: "once" },
  complete: { polling: "none", fallback: "none" },
};

/** The rendering rule. Before the stage is known REST is the safe side. */
export function planFor(info: StageInfo | undefined, readiness: Readiness): Plan {
  if (info === undefined || info.dataSource === "rest") return { render: "rest", fallback: false, polling: "normal" };
  const { polling, fallback } = pollings[info.stage];
  if (readiness === "ready" || info.stage === "complete") return { render: "ws", fallback: false, polling };
  if (readiness === "coming") return { render: "keep", fallback: false, polling };
  return { render: "rest", fallback: true, polling: fallback };
}

/** Where what is shown comes from, as people read it. */
export type DataSourceLabel = "WebSocket" | "REST (Shadow)" | "REST (Canary)" | "REST (Fallback)" | "REST" | "None"; // nothing yet

/** The label of data that is rendered from REST. */
export function restLabel(stage: Stage | undefined, fallback: boolean): DataSourceLabel {
  if (fallback) return "REST (Fallback)";
  switch (stage) {
    case "shadow":
      return "REST (Shadow)";
    case "canary":
      return "REST (Canary)";
    default:
      return "REST";
  }
}
