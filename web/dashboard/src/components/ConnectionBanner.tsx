import { useClient, useConnection, useReach } from "@thor/react";
import { type ReactNode, useEffect, useState } from "react";
import { useStages } from "../lib/stages.ts";
import { troubleOf } from "../lib/trouble.ts";

/** A connection that comes back within this time is not worth a banner, in ms. */
const patience = 1500;

/** Says what a missing connection means for what is shown. */
export function ConnectionBanner(): ReactNode {
  const client = useClient();
  const connection = useConnection();
  const reach = useReach();
  const stages = useStages();
  const lasting = useLasting(connection.status !== "connected", patience);
  const trouble = lasting ? troubleOf(connection, reach, stages) : undefined;
  return (
    <div role="status">
      {trouble !== undefined && (
        <p className={`banner banner-${trouble.severity}`}>
          <span>{trouble.text}</span>
          {trouble.stopped && (
            <button type="button" onClick={() => client.reconnect()}>
              Connect again
            </button>
          )}
        </p>
      )}
    </div>
  );
}

/** True once something has been so for a while. */
function useLasting(now: boolean, ms: number): boolean {
  const [lasting, setLasting] = useState(false);
  useEffect(() => {
    if (!now) {
      setLasting(false);
      return;
    }
    const timer = setTimeout(() => setLasting(true), ms);
    return () => clearTimeout(timer);
  }, [now, ms]);
  return lasting && now;
}
