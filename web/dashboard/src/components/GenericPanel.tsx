import { useDirectory, useFeature } from "@thor/react";
import type { ReactNode } from "react";
import { unknown, words } from "../lib/format.ts";
import { Panel } from "./Panel.tsx";
import type { PanelProps } from "./panels.ts";
import { Waiting } from "./Waiting.tsx";

/** At most so many values of a list are shown, the newest. */
const most = 20;

/** A feature this page has no panel for, as it comes. */
export function GenericPanel({ feature, account }: PanelProps): ReactNode {
  const { symbols } = useDirectory();
  const owners: Readonly<Record<string, string | undefined>> = { account_id: account, symbol: symbols[0]?.symbol };
  const snapshot = useFeature(feature.name as string, owners[feature.param] ?? "");
  return (
    <Panel name={feature.name} title={words(feature.name)} snapshot={snapshot}>
      {snapshot.data === undefined ? <Waiting owned={feature.private} /> : <Value data={snapshot.data} />}
    </Panel>
  );
}

function Value({ data }: { data: unknown }): ReactNode {
  return Array.isArray(data) ? <Rows rows={data.slice(-most).reverse()} /> : <Members data={data as object} />;
}

function Members({ data }: { data: object }): ReactNode {
  return (
    <dl className="members">
      {Object.entries(data).map(([name, value]) => (
        <div key={name}>
          <dt>{words(name)}</dt>
          <dd>{text(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Rows({ rows }: { rows: readonly object[] }): ReactNode {
  const columns = Object.keys(rows[0] ?? {});
  return (
    <div className="rows">
      <table>
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col">
                {words(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={JSON.stringify(row)}>
              {Object.entries(row).map(([name, value]) => (
                <td key={name}>{text(value)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function text(value: unknown): string {
  if (value === null || value === undefined) return unknown;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
