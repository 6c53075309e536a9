import { describe, expect, it } from "vitest";
import type { DataSource, Stage } from "./generated.ts";
import { type Plan, planFor, type Readiness } from "./plan.ts";

type Row = [Stage, DataSource, Readiness, Plan["render"], boolean, Plan["polling"]];

const rows: Row[] = [
  ["off", "rest", "ready", "rest", false, "normal"],
  ["off", "rest", "down", "rest", false, "normal"],
  ["shadow", "rest", "ready", "rest", false, "normal"],
  ["shadow", "rest", "down", "rest", false, "normal"],
  ["canary", "rest", "ready", "rest", false, "normal"],
  ["canary", "rest", "down", "rest", false, "normal"],
  ["canary", "ws", "ready", "ws", false, "normal"],
  ["canary", "ws", "coming", "keep", false, "normal"],
  ["canary", "ws", "down", "rest", true, "normal"],
  ["live", "ws", "ready", "ws", false, "verify"],
  ["live", "ws", "coming", "keep", false, "verify"],
  ["live", "ws", "down", "rest", true, "normal"],
  ["rampdown", "ws", "ready", "ws", false, "none"],
  ["rampdown", "ws", "coming", "keep", false, "none"],
  ["rampdown", "ws", "down", "rest", true, "once"],
  ["complete", "ws", "ready", "ws", false, "none"],
  ["complete", "ws", "coming", "ws", false, "none"],
  ["complete", "ws", "down", "ws", false, "none"],
];

describe("the rendering rule", () => {
  it.each(rows)("%s, to render %s, WebSocket %s: %s", (stage, dataSource, readiness, render, fallback, polling) => {
    expect(planFor({ stage, dataSource, rev: 1 }, readiness)).toEqual({ render, fallback, polling });
  });

  it("is REST before anybody has told the stage", () => {
    expect(planFor(undefined, "ready")).toEqual({ render: "rest", fallback: false, polling: "normal" });
  });
});
