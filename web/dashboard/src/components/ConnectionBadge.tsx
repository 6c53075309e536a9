import type { ConnectionState } from "@thor/client";
import { useConnection, useNow } from "@thor/react";
import type { ReactNode } from "react";

/** Whether the WebSocket stands, and if not why, and when it is tried again. */
export function ConnectionBadge(): ReactNode {
  const state = useConnection();
  return (
    <span className={`connection connection-${state.status}`}>
      <span className="dot" aria-hidden="true" />
      <Text state={state} />
    </span>
  );
}

function Text({ state }: { state: ConnectionState }): ReactNode {
  switch (state.status) {
    case "idle":
    case "connecting":
      return "attempt" in state && state.attempt > 0 ? "Reconnecting…" : "Connecting…";
    case "connected":
      return <span title={`connection ${state.connection}`}>Connected</span>;
    case "waiting":
      return (
        <>
          <Reconnecting at={state.retryAt} />
          <span className="reason"> · {state.reason.text}</span>
        </>
      );
    case "closed":
      return (
        <>
          Disconnected<span className="reason"> · {state.reason.text}</span>
        </>
      );
    default:
      return state satisfies never;
  }
}

function Reconnecting({ at }: { at: number }): ReactNode {
  const seconds = Math.ceil((at - useNow(250)) / 1000);
  return seconds > 1 ? `Reconnecting in ${seconds} s` : "Reconnecting…";
}
