import type { FeatureSnapshot } from "./feed.ts";
import type { DataSource, Stage } from "./generated.ts";
import { type DataSourceLabel, planFor, type Readiness, restLabel } from "./plan.ts";
import type { StageInfo } from "./stages.ts";

/** Where a whole feature is rendered from. */
export interface FeatureView {
  stage: Stage | undefined;
  dataSource: DataSource | undefined;
  label: DataSourceLabel;
}

export const emptyView: FeatureView = { stage: undefined, dataSource: undefined, label: "None" };

/**
 * The view of a feature: that of the streams somebody renders, REST before the
 * WebSocket where they differ. When nobody renders any, it is what the rule
 * says to those who bring their own rendering.
 */
export function viewOf(
  info: StageInfo | undefined,
  readiness: Readiness,
  rendered: readonly FeatureSnapshot[],
): FeatureView {
  if (rendered.length > 0) {
    const decisive =
      rendered.find((s) => s.label === "REST (Fallback)") ??
      rendered.find((s) => s.dataSource === "rest") ??
      rendered.find((s) => s.dataSource === "ws");
    return { stage: info?.stage, dataSource: decisive?.dataSource, label: decisive?.label ?? "None" };
  }
  if (info === undefined) return emptyView;
  const { render, fallback } = planFor(info, readiness);
  if (render === "rest") return { stage: info.stage, dataSource: "rest", label: restLabel(info.stage, fallback) };
  return { stage: info.stage, dataSource: "ws", label: "WebSocket" };
}
