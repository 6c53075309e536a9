// Generated from the Go types by `make generate`. Do not edit.

/** An exact decimal with a fixed number of digits; null is unknown, never zero. */
export type Decimal = number | null;

export interface AccountBalance {
  account_id: string;
  currency: string;
  cash: Decimal;
  equity: Decimal;
  portfolio_value: Decimal;
  buying_power: Decimal;
  day_trading_buying_power?: Decimal;
  source: string;
  timestamp: string;
}

export type AssetClass = "equity" | "future" | "crypto" | "option" | "fx" | "index";

export interface Position {
  symbol: string;
  display: string;
  asset_class: AssetClass;
  quantity: Decimal;
  multiplier: Decimal;
  entry_price: Decimal;
  current_price: Decimal;
  market_value: Decimal;
  pnl: Decimal;
  pnl_percent: Decimal;
  day_pnl: Decimal;
  currency: string;
}

export interface PositionTotals {
  market_value: Decimal;
  pnl: Decimal;
  day_pnl: Decimal;
}

export interface Positions {
  account_id: string;
  positions: Position[];
  totals: PositionTotals;
  timestamp: string;
}

export interface Bar {
  symbol: string;
  display: string;
  country: string;
  timestamp_minute: string;
  open: Decimal;
  high: Decimal;
  low: Decimal;
  close: Decimal;
  volume: Decimal;
  vwap: Decimal;
  final: boolean;
  timestamp: string;
}

export type MarketPhase = "PREOPEN" | "OPEN" | "PRECLOSE" | "POST" | "BREAK" | "CLOSED" | "HOLIDAY" | "UNKNOWN";

export interface MarketStatus {
  market_id: string;
  market: string;
  country: string;
  timezone: string;
  status: MarketPhase;
  trading: boolean;
  session_date?: string;
  next_event?: MarketPhase;
  next_event_at?: string;
  provisional: boolean;
  weight: Decimal;
  timestamp: string;
}

export type Stage = "off" | "shadow" | "canary" | "live" | "rampdown" | "complete";

export interface FeatureStage {
  feature: string;
  stage: Stage;
  rev: number;
  weight: number;
  reason: string;
  since: string;
}

export interface StreamTip {
  seq: number;
  age_ms: number;
  cadence_ms: number;
}

export interface Heartbeat {
  timestamp: string;
  heartbeat_count: number;
  interval_ms: number;
  stale_after_ms: number;
  active_jobs: number;
  streams: Record<string, StreamTip>;
}

export type DataSource = "rest" | "ws";

/** The data of each message type of a feature. */
export interface Payloads {
  account_balance: AccountBalance;
  positions: Positions;
  intraday_bar: Bar;
  market_status: MarketStatus;
}

/** The features, in their default cutover order. */
export const features = [
  {"name":"account_balance","type":"account_balance","path":"/api/account/balance","param":"account_id","list":"","key":"account_id","window":0,"cadenceMs":1000,"private":true},
  {"name":"positions","type":"positions","path":"/api/positions","param":"account_id","list":"","key":"account_id","window":0,"cadenceMs":1000,"private":true},
  {"name":"intraday","type":"intraday_bar","path":"/api/intraday/bars","param":"symbol","list":"bars","key":"timestamp_minute","window":1440,"cadenceMs":1000,"private":false},
  {"name":"global_market","type":"market_status","path":"/api/global-market","param":"","list":"markets","key":"market_id","window":0,"cadenceMs":0,"private":false},
] as const;

export type FeatureName = (typeof features)[number]["name"];
