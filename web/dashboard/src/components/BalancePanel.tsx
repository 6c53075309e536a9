import type { AccountBalance } from "@thor/client";
import { useFeature } from "@thor/react";
import type { ReactNode } from "react";
import { money } from "../lib/format.ts";
import { Panel } from "./Panel.tsx";
import type { PanelProps } from "./panels.ts";
import { Waiting } from "./Waiting.tsx";

/** The money of one account. */
export function BalancePanel({ account }: PanelProps): ReactNode {
  const snapshot = useFeature("account_balance", account);
  return (
    <Panel name="account_balance" title="Account balance" snapshot={snapshot}>
      {snapshot.data === undefined ? <Waiting owned /> : <Balance balance={snapshot.data} />}
    </Panel>
  );
}

export function Balance({ balance }: { balance: AccountBalance }): ReactNode {
  const { currency, day_trading_buying_power: dayTrading } = balance;
  const byEquity = balance.equity !== null || balance.portfolio_value === null; // a backend may know the other alone
  return (
    <div className="balance">
      <p className="equity">
        <span className="label">{byEquity ? "Equity" : "Portfolio value"}</span>
        <span className="figure">{money(byEquity ? balance.equity : balance.portfolio_value, currency)}</span>
      </p>
      <dl>
        <Row label="Cash">{money(balance.cash, currency)}</Row>
        <Row label="Buying power">{money(balance.buying_power, currency)}</Row>
        {dayTrading !== undefined && <Row label="Day-trading buying power">{money(dayTrading, currency)}</Row>}
      </dl>
    </div>
  );
}

function Row({ label, children }: { label: string; children: ReactNode }): ReactNode {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
