import type { Decimal } from "@thor/client";
import type { ReactNode } from "react";
import { change, direction } from "../lib/format.ts";

const arrows = { up: "▲", down: "▼", flat: "", unknown: "" } as const;

interface Props {
  value: Decimal | undefined;
  /** How to write it; the default is an amount with its sign. */
  format?: (value: Decimal | undefined) => string;
  /** The arrow may be left out where another one stands beside it. */
  arrow?: boolean;
}

/** What was gained or lost, told by sign, arrow and colour. */
export function Delta({ value, format = change, arrow = true }: Props): ReactNode {
  const text = format(value);
  const points = direction(text);
  return (
    <span className={`delta delta-${points}`}>
      {arrow && arrows[points] !== "" && (
        <span className="arrow" aria-hidden="true">
          {arrows[points]}
        </span>
      )}
      {text}
    </span>
  );
}
