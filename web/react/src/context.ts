import type { ThorClient } from "@thor/client";
import { createContext, useContext } from "react";

export const ThorContext: React.Context<ThorClient | undefined> = createContext<ThorClient | undefined>(undefined);

/** The client of the nearest ThorProvider. */
export function useClient(): ThorClient {
  const client = useContext(ThorContext);
  if (client === undefined) throw new Error("this component needs a <ThorProvider> above it");
  return client;
}
