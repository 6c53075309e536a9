import type { ReactNode } from "react";

export type Tone = "neutral" | "accent" | "good" | "warning" | "bad" | "simulated";

interface Props {
  tone: Tone;
  title?: string;
  children: ReactNode;
}

/** A word in a coloured frame. The word says it all: the colour only helps. */
export function Chip({ tone, title, children }: Props): ReactNode {
  return (
    <span className={`chip chip-${tone}`} title={title}>
      {children}
    </span>
  );
}
