import type { Feature } from "@thor/client";
import type { ReactNode } from "react";
import { BalancePanel } from "./BalancePanel.tsx";
import { GenericPanel } from "./GenericPanel.tsx";
import { IntradayPanel } from "./IntradayPanel.tsx";
import { MarketsPanel } from "./MarketsPanel.tsx";
import { PositionsPanel } from "./PositionsPanel.tsx";

export interface PanelProps {
  feature: Feature;
  /** "" until an account is known. */
  account: string;
}

const panels: Readonly<Record<string, (props: PanelProps) => ReactNode>> = {
  account_balance: BalancePanel,
  positions: PositionsPanel,
  intraday: IntradayPanel,
  global_market: MarketsPanel,
};

/** The panel of a feature. One without its own is shown as it comes. */
export function panelOf(feature: Feature): (props: PanelProps) => ReactNode {
  return panels[feature.name] ?? GenericPanel;
}
