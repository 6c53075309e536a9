import type { ReactNode } from "react";

export function Brand(): ReactNode {
  return (
    <span className="brand">
      <img src="favicon.svg" alt="" width="24" height="24" />
      thor
    </span>
  );
}
