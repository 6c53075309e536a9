import type { DataSourceLabel, FeatureSnapshot } from "@thor/client";
import { formatAge, useAge, useDirectory } from "@thor/react";
import type { ReactNode } from "react";
import { Chip, type Tone } from "./Chip.tsx";

const tones: Record<DataSourceLabel, Tone> = {
  WebSocket: "accent",
  "REST (Shadow)": "neutral",
  "REST (Canary)": "neutral",
  "REST (Fallback)": "warning",
  REST: "neutral",
  None: "neutral",
};

interface Props {
  snapshot: FeatureSnapshot;
  /** The data is the calendar's and not the source's: only its time may be another. */
  fromCalendar: boolean;
}

/** Where a panel's data comes from, whether it is made up, and its age. */
export function PanelStatus({ snapshot, fromCalendar }: Props): ReactNode {
  const { source } = useDirectory();
  return (
    <p className="panel-status">
      <span className="chips">
        {!fromCalendar && source?.replay && <Chip tone="simulated">REPLAY</Chip>}
        {!fromCalendar && source?.simulated && <Chip tone="simulated">SIMULATED</Chip>}
        {fromCalendar && source?.virtual && <Chip tone="simulated">VIRTUAL TIME</Chip>}
        <Chip tone={tones[snapshot.label]} title="Data source">
          {snapshot.label}
        </Chip>
      </span>
      <Age asOf={snapshot.asOf} stale={snapshot.stale} />
    </p>
  );
}

function Age({ asOf, stale }: { asOf: number | undefined; stale: boolean }): ReactNode {
  const age = formatAge(useAge(asOf));
  if (stale) return <Chip tone="warning">Stale {age}</Chip>;
  return (
    <span className="age" title="Age of the data">
      {age}
    </span>
  );
}
