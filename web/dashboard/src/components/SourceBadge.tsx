import { useClient, useDirectory, useNow } from "@thor/react";
import type { ReactNode } from "react";
import { dateTime } from "../lib/time.ts";
import { Chip } from "./Chip.tsx";

/** Says that the data is made up, and what time it is there when it is not now. */
export function SourceBadge(): ReactNode {
  const { source } = useDirectory();
  if (source === undefined || (!source.simulated && !source.virtual)) return null;
  return (
    <span className="source-badge">
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
      {speed !== 1 && ` · ${speed}×`}
    </Chip>
  );
}
