import type { ReactNode } from "react";
import { useForced } from "../lib/forced.ts";

/** Says which features are forced back by an operator, and from which stage. */
export function ForcedBanner(): ReactNode {
  const forced = useForced();
  if (forced.length === 0) return null;
  return (
    <p className="banner banner-warning" role="status">
      {forced.map(({ feature, stage, stored }) => (
        <span key={feature} className="forced">
          <strong>{feature}</strong> is forced to <strong>{stage}</strong>
          {stored !== undefined && ` (stored: ${stored})`}.{" "}
        </span>
      ))}
    </p>
  );
}
