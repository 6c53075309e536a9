import type { Stage } from "@thor/client";
import { useClient } from "@thor/react";
import { useRef, useSyncExternalStore } from "react";

type Stages = readonly { feature: string; stage: Stage | undefined }[];

/** Where all features stand. */
export function useStages(): Stages {
  const client = useClient();
  const last = useRef<Stages>([]);
  const subscribe = (listener: () => void): (() => void) => {
    const ends = client.features.map(({ name }) => client.stage(name).subscribe(listener));
    return () => {
      for (const end of ends) end();
    };
  };
  const read = (): Stages => {
    const stages = client.features.map(({ name }) => ({
      feature: name,
      stage: client.stage(name).getSnapshot()?.stage,
    }));
    const same =
      stages.every(({ stage }, i) => last.current[i]?.stage === stage) && stages.length === last.current.length;
    if (!same) last.current = stages;
    return last.current;
  };
  return useSyncExternalStore(subscribe, read);
}
