import type { ConnectionState, Stage } from "@thor/client";
import { describe, expect, it } from "vitest";
import { troubleOf } from "./trouble.ts";

const lost: ConnectionState = {
  status: "waiting",
  attempt: 3,
  retryAt: 0,
  advised: false,
  reason: { code: "lost", text: "the connection was lost" },
};
const stages = (...all: Stage[]) => all.map((stage, i) => ({ feature: ["positions", "intraday"][i] ?? "", stage }));

describe("trouble", () => {
  it("is none while connected", () => {
    expect(troubleOf({ status: "connected", connection: "c1" }, "unreachable", [])).toBeUndefined();
  });

  it("says that data keeps coming", () => {
    expect(troubleOf(lost, "reached", stages("shadow", "live"))).toMatchObject({
      severity: "warning",
      text: "The WebSocket is down (the connection was lost). Data keeps coming over REST.",
    });
  });

  it("says that values are the last known when nobody answers", () => {
    expect(troubleOf(lost, "unreachable", stages("shadow"))?.text).toContain("last known values");
  });

  it("promises nothing before REST has answered", () => {
    const text = troubleOf(lost, "unknown", stages("shadow", "live"))?.text ?? "";
    expect(text).toContain("last known values");
    expect(text).not.toContain("keeps coming");
  });

  it("says that the page was opened elsewhere, and waits for somebody", () => {
    const closed: ConnectionState = { status: "closed", reason: { code: "replaced", text: "" } };
    const trouble = troubleOf(closed, "reached", stages("shadow"));
    expect(trouble).toMatchObject({ severity: "warning", stopped: true });
    expect(trouble?.text).toContain("opened elsewhere");
    expect(trouble?.text).toContain("keeps coming over REST");
    expect(troubleOf(closed, "unknown", stages("shadow"))?.text).not.toContain("keeps coming");
  });

  it("names what has no REST to fall back to", () => {
    const text = troubleOf(lost, "reached", stages("complete", "shadow"))?.text;
    expect(text).toContain(
      "Last known values, without REST to replace it: Positions. The rest keeps coming over REST.",
    );
  });

  it("asks for somebody where the connection waits for one", () => {
    const reason = { code: "replaced", text: "" } as const;
    expect(troubleOf({ status: "closed", reason }, "reached", [])?.stopped).toBe(true);
  });
});
