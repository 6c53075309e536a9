import type { Feature } from "@thor/client";
import { type ReactNode, useState } from "react";
import { useClient } from "./context.ts";
import { formatAge } from "./formatAge.ts";
import { useExternal } from "./useExternal.ts";
import { useNow } from "./useNow.ts";
import { useTraffic } from "./useTraffic.ts";
import { useView } from "./useView.ts";

/**
 * What arrives over the WebSocket of every feature, whatever is rendered: its
 * stage, data source, messages and the age of the newest. It brings no styles.
 */
export function WebSocketShadowMonitor(): ReactNode {
  const client = useClient();
  return (
    <div className="thor-monitor">
      <table>
        <thead>
          <tr>
            <th scope="col">Feature</th>
            <th scope="col">Stage</th>
            <th scope="col">Data source</th>
            <th scope="col">Messages</th>
            <th scope="col">Newest</th>
          </tr>
        </thead>
        <tbody>
          {client.features.map((feature) => (
            <Row key={feature.name} feature={feature} />
          ))}
        </tbody>
      </table>
      <ShadowLogSwitch />
    </div>
  );
}

function Row({ feature }: { feature: Feature }): ReactNode {
  const { stage, label } = useView(feature.name);
  const forced = useExternal(useClient().stage(feature.name))?.forced === true;
  const traffic = useTraffic()[feature.name];
  return (
    <tr>
      <th scope="row">{feature.name}</th>
      <td>
        {stage ?? "—"}
        {forced && " (forced)"}
      </td>
      <td>{label}</td>
      <td>{(traffic?.messages ?? 0).toLocaleString("en-US")}</td>
      <td>
        <Age since={traffic?.lastAt} />
      </td>
    </tr>
  );
}

function Age({ since }: { since: number | undefined }): ReactNode {
  const now = useNow(500);
  return formatAge(since === undefined ? undefined : Math.max(0, now - since));
}

function ShadowLogSwitch(): ReactNode {
  const client = useClient();
  const [on, setOn] = useState(client.shadowLog);
  const change = (next: boolean): void => {
    client.shadowLog = next;
    setOn(next);
  };
  return (
    <label>
      <input type="checkbox" checked={on} onChange={(event) => change(event.target.checked)} />
      Print what arrives in shadow to the console
    </label>
  );
}
