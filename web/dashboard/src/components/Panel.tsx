import type { FeatureSnapshot } from "@thor/client";
import { type ReactNode, useId } from "react";
import { Boundary } from "./Boundary.tsx";
import { PanelStatus } from "./PanelStatus.tsx";
import { SourceTrouble } from "./SourceTrouble.tsx";
import { Waiting } from "./Waiting.tsx";

interface Props {
  /** The feature's name; it is also the panel's place on the page. */
  name: string;
  title: string;
  snapshot: FeatureSnapshot;
  /** The data is the calendar's and not the source's. */
  fromCalendar?: boolean;
  children: ReactNode;
}

/** The frame of every panel: a title, where the data comes from and how old it is. */
export function Panel({ name, title, snapshot, fromCalendar = false, children }: Props): ReactNode {
  const id = useId();
  return (
    <section className={`panel panel-${name}`} aria-labelledby={id}>
      <header className="panel-head">
        <h2 id={id}>{title}</h2>
        <PanelStatus snapshot={snapshot} fromCalendar={fromCalendar} />
      </header>
      {(snapshot.stale || snapshot.data === undefined) && <SourceTrouble feature={name} asOf={snapshot.asOf} />}
      <Boundary of={snapshot.data} instead={<Waiting>This panel cannot show what came.</Waiting>}>
        {children}
      </Boundary>
    </section>
  );
}
