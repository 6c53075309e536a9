import { WebSocketShadowMonitor } from "@thor/react";
import type { ReactNode } from "react";
import { usePreference } from "../lib/preference.ts";

/** What arrives over the WebSocket, for those who watch the move. */
export function MonitorSection(): ReactNode {
  const [open, setOpen] = usePreference("monitor");
  return (
    <details
      className="panel monitor"
      open={open === "open"}
      onToggle={(event) => setOpen(event.currentTarget.open ? "open" : "closed")}
    >
      <summary>WebSocket shadow monitor</summary>
      {open === "open" && <WebSocketShadowMonitor />}
    </details>
  );
}
