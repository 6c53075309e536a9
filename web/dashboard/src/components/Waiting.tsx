import { useReach } from "@thor/react";
import type { ReactNode } from "react";

/** Stands where data will be, once: data that was shown is never taken away again. */
export function Waiting({ children }: { children?: ReactNode }): ReactNode {
  const refused = useReach() === "refused";
  return <p className="waiting">{children ?? (refused ? "The server wants a token" : "Waiting for the first data")}</p>;
}
