import { useFeature } from "@thor/react";
import type { ReactNode } from "react";
import { Panel } from "./Panel.tsx";
import { PositionsTable } from "./PositionsTable.tsx";
import type { PanelProps } from "./panels.ts";
import { Waiting } from "./Waiting.tsx";

/** What one account holds. */
export function PositionsPanel({ account }: PanelProps): ReactNode {
  const snapshot = useFeature("positions", account);
  return (
    <Panel name="positions" title="Positions" snapshot={snapshot}>
      {snapshot.data === undefined ? (
        <Waiting owned />
      ) : snapshot.data.positions.length === 0 ? (
        <Waiting>No open positions</Waiting>
      ) : (
        <PositionsTable positions={snapshot.data} />
      )}
    </Panel>
  );
}
