import type { ReasonCode } from "./reason.ts";

/**
 * What a client does about a close code: stop until somebody acts, come back
 * after a backoff, come back when the server said, or get another token once
 * and then stop.
 */
export interface CloseRule {
  reaction: "stop" | "backoff" | "advised" | "renew";
  reason: ReasonCode;
  /** The least time to wait where the server announces none, in ms. */
  atLeastMs?: number;
}

const rules: Readonly<Record<number, CloseRule>> = {
  1000: { reaction: "stop", reason: "done" },
  1001: { reaction: "advised", reason: "restarting" },
  1002: { reaction: "stop", reason: "protocol_error" },
  1003: { reaction: "stop", reason: "protocol_error" },
  1007: { reaction: "stop", reason: "protocol_error" },
  1009: { reaction: "stop", reason: "protocol_error" },
  1011: { reaction: "backoff", reason: "server_error" },
  1012: { reaction: "advised", reason: "restarting" },
  1013: { reaction: "backoff", reason: "overloaded" },
  4400: { reaction: "stop", reason: "bad_request" },
  4401: { reaction: "renew", reason: "unauthorized" },
  4403: { reaction: "stop", reason: "forbidden" },
  4406: { reaction: "stop", reason: "unsupported_version" },
  4408: { reaction: "backoff", reason: "timeout" },
  4409: { reaction: "stop", reason: "replaced" },
  4429: { reaction: "backoff", reason: "too_many", atLeastMs: 5000 },
  4503: { reaction: "backoff", reason: "channel_lost" },
  4508: { reaction: "backoff", reason: "stalled" },
};

/** The rule for a close code. A code nobody declared is a lost connection: coming back is the safe side. */
export function closeRule(code: number): CloseRule {
  return rules[code] ?? { reaction: "backoff", reason: "lost" };
}
