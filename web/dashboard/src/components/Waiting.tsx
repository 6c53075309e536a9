import type { ReactNode } from "react";

/** Stands where data will be, once: data that was shown is never taken away again. */
export function Waiting({ children = "Waiting for the first data" }: { children?: ReactNode }): ReactNode {
  return <p className="waiting">{children}</p>;
}
