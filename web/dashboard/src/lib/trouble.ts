import type { ConnectionState, Reach, Stage } from "@thor/client";
import { words } from "./format.ts";

/** What somebody should know about the way the data comes, and whether they can do something. */
export interface Trouble {
  severity: "warning" | "error";
  text: string;
  /** It waits for somebody to connect again. */
  stopped: boolean;
}

/** Says in words what a connection that is not there means for what is shown. */
export function troubleOf(
  connection: ConnectionState,
  reach: Reach,
  stages: readonly { feature: string; stage: Stage | undefined }[],
): Trouble | undefined {
  if (connection.status === "connected" || connection.status === "idle") return undefined;
  const stopped = connection.status === "closed";
  if (connection.status === "closed" && connection.reason.code === "replaced") {
    const text =
      "This page was opened elsewhere: you have as many connections as you may, so the oldest, this one, was closed.";
    return {
      severity: "warning",
      text: `${text} ${reach === "reached" ? "Data keeps coming over REST." : ""}`.trim(),
      stopped,
    };
  }
  if (reach === "unreachable") {
    const text = "The server cannot be reached. These are the last known values; the page keeps trying.";
    return { severity: "error", text, stopped };
  }
  const why = "reason" in connection ? ` (${connection.reason.text})` : "";
  const retired = stages
    .filter(({ stage }) => stage === "rampdown" || stage === "complete")
    .map((s) => words(s.feature));
  if (reach === "unknown" || reach === "refused") {
    const text = `The WebSocket is down${why}. These are the last known values; REST is being asked.`;
    return { severity: "warning", text, stopped };
  }
  if (retired.length === 0) {
    return { severity: "warning", text: `The WebSocket is down${why}. Data keeps coming over REST.`, stopped };
  }
  const rest = retired.length === stages.length ? "" : " The rest keeps coming over REST.";
  const text = `The WebSocket is down${why}. Last known values, without REST to replace it: ${retired.join(", ")}.${rest}`;
  return { severity: "error", text, stopped };
}
