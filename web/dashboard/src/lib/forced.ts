import type { Stage } from "@thor/client";
import { useClient } from "@thor/react";
import { useRef, useSyncExternalStore } from "react";

interface Forced {
  feature: string;
  stage: Stage;
  stored: Stage | undefined;
}

/** The features whose stage is forced. */
export function useForced(): readonly Forced[] {
  const client = useClient();
  const last = useRef<readonly Forced[]>([]);
  const subscribe = (listener: () => void): (() => void) => {
    const ends = client.features.map(({ name }) => client.stage(name).subscribe(listener));
    return () => {
      for (const end of ends) end();
    };
  };
  const read = (): readonly Forced[] => {
    const forced: Forced[] = [];
    for (const { name } of client.features) {
      const info = client.stage(name).getSnapshot();
      if (info?.forced) forced.push({ feature: name, stage: info.stage, stored: info.stored });
    }
    if (JSON.stringify(forced) !== JSON.stringify(last.current)) last.current = forced;
    return last.current;
  };
  return useSyncExternalStore(subscribe, read);
}
