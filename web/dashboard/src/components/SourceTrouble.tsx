import { useNow, useTrouble } from "@thor/react";
import type { ReactNode } from "react";
import { textOf } from "../lib/sourceTrouble.ts";

interface Props {
  feature: string;
  /** When what is shown was current, in ms; undefined where nothing is shown. */
  asOf: number | undefined;
}

/** Says why what is shown is old, or why nothing is: to all that it is so, to operators what came and what to do. */
export function SourceTrouble({ feature, asOf }: Props): ReactNode {
  const trouble = useTrouble(feature);
  const now = useNow(10_000);
  if (trouble === undefined) return null;
  return (
    <div className="trouble">
      <p>{textOf(trouble, asOf, now)}</p>
      {trouble.words !== undefined && <p className="why">{trouble.words}</p>}
    </div>
  );
}
