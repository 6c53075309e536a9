import { useClient, useDirectory, useNow } from "@thor/react";
import type { ReactNode } from "react";
import { dateTime } from "../lib/time.ts";
import { Chip } from "./Chip.tsx";

/** Says that the data is made up or of another day, and what time it is there when it is not now. */
export function SourceBadge(): ReactNode {
  const { source } = useDirectory();
  if (source === undefined || (!source.simulated && !source.virtual)) return null;
  return (
    <span className="source-badge">
      {source.replay && (
        <Chip tone="simulated" title={`A recording of ${source.replay.of} is played; nothing of it is of now`}>
          REPLAY of {source.replay.of}, {source.replay.from.slice(0, 10)}
          {source.replay.over && " · over"}
        </Chip>
      )}
      {source.simulated && <Chip tone="simulated">SIMULATED</Chip>}
      {source.virtual && <VirtualTime speed={source.speed} />}
    </span>
  );
}

function VirtualTime({ speed }: { speed: number }): ReactNode {
  const client = useClient();
  useNow(250);
  return (
    <Chip tone="simulated" title="The source's clock is not the wall clock">
      {dateTime(client.clock.sourceNow())}
      {speed !== 1 && (speed === 0 ? " · stands" : ` · ${speed}×`)}
    </Chip>
  );
}
