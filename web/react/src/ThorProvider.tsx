import type { ThorClient } from "@thor/client";
import { type ReactNode, useEffect } from "react";
import { ThorContext } from "./context.ts";

export interface ThorProviderProps {
  /** Made once, outside of rendering. */
  client: ThorClient;
  children: ReactNode;
}

/** Gives a client to the hooks below, and keeps it connected while it is mounted. */
export function ThorProvider({ client, children }: ThorProviderProps): ReactNode {
  useEffect(() => client.start(), [client]);
  return <ThorContext.Provider value={client}>{children}</ThorContext.Provider>;
}
