import { cleanup, render, screen } from "@testing-library/react";
import {
  type AccountBalance,
  emptySnapshot,
  type FeatureSnapshot,
  features,
  type MarketStatus,
  type Position,
  ThorClient,
} from "@thor/client";
import { ThorProvider } from "@thor/react";
import type { ReactNode } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Balance } from "./BalancePanel.tsx";
import { GenericPanel } from "./GenericPanel.tsx";
import { Markets, nextEvent } from "./MarketsPanel.tsx";
import { Panel } from "./Panel.tsx";
import { PositionsTable } from "./PositionsTable.tsx";

afterEach(cleanup);

const timestamp = "2026-11-23T15:30:00Z";

describe("the balance", () => {
  const balance = { account_id: "A", currency: "USD", portfolio_value: null, source: "sim", timestamp };

  it("shows a dash for what is unknown, and zero for zero", () => {
    const { container } = render(<Balance balance={{ ...balance, equity: null, cash: 0, buying_power: null }} />);
    expect(container.querySelector(".figure")?.textContent).toBe("—");
    expect([...container.querySelectorAll("dd")].map((dd) => dd.textContent)).toEqual(["$0.00", "—"]);
  });

  it("heads with the portfolio value, by its name, where equity alone is unknown", () => {
    const rest = { ...balance, portfolio_value: 82124.18, cash: null, buying_power: null };
    const { container } = render(<Balance balance={{ ...rest, equity: null }} />);
    expect(container.querySelector(".equity")?.textContent).toBe("Portfolio value$82,124.18");
    cleanup();
    const both = render(<Balance balance={{ ...rest, equity: 7 }} />);
    expect(both.container.querySelector(".equity")?.textContent).toBe("Equity$7.00");
  });

  it("has a line for day trading only where the account has", () => {
    const known = { ...balance, equity: 1, cash: 1, buying_power: 1 };
    render(<Balance balance={known} />);
    expect(screen.queryByText("Day-trading buying power")).toBeNull();
    cleanup();
    render(<Balance balance={{ ...known, day_trading_buying_power: null }} />);
    expect(screen.getByText("Day-trading buying power").nextSibling?.textContent).toBe("—");
  });
});

describe("the positions", () => {
  const row: Position = {
    symbol: "FUT.ES",
    display: "/ES",
    asset_class: "future",
    quantity: -1,
    multiplier: 50,
    entry_price: 6882.75,
    current_price: null,
    market_value: -150,
    pnl: -150,
    pnl_percent: -0.0436,
    day_pnl: 337.5,
    currency: "USD",
  };

  it("tell gains and losses by sign and arrow, and take the totals as they come", () => {
    const totals = { market_value: 7, pnl: null, day_pnl: 0 };
    render(<PositionsTable positions={{ account_id: "A", positions: [row], totals, timestamp }} />);
    const cells = screen.getByRole("row", { name: /^\/ES/ }).querySelectorAll("td");
    expect([...cells].map((c) => c.firstChild?.textContent)).toEqual([
      "−1",
      "6,882.75",
      "—",
      "−150.00",
      "▼−150.00",
      "−0.04%",
      "▲+337.50",
    ]);
    const sums = screen.getByRole("row", { name: /^Total/ }).querySelectorAll("td");
    expect([...sums].map((c) => c.firstChild?.textContent ?? "")).toEqual(["", "", "", "7.00", "—", "", "0.00"]);
  });
});

describe("the markets", () => {
  const market: MarketStatus = {
    market_id: "XNYS",
    market: "New York",
    country: "USA",
    timezone: "America/New_York",
    status: "CLOSED",
    trading: false,
    next_event: "OPEN",
    next_event_at: "2026-11-23T14:30:00Z",
    provisional: true,
    weight: 0.25,
    timestamp,
  };

  it("count down to what comes next, and say when nothing is known to come", () => {
    expect(nextEvent(market, Date.parse("2026-11-23T14:29:00Z"), 1)).toBe("Opens in 1:00");
    const holiday: MarketStatus = { ...market, status: "HOLIDAY", next_event: "CLOSED" };
    expect(nextEvent(holiday, Date.parse("2026-11-23T14:29:00Z"), 1)).toBe("Holiday ends in 1:00");
    expect(nextEvent(holiday, Date.parse("2026-11-23T14:30:00Z"), 1)).toBe("Holiday ends now");
    const { next_event, next_event_at, ...last } = market;
    expect(nextEvent(last, 0, 1)).toBe("No further change is known");
  });

  it.each([
    ["2026-11-23T14:29:59.500Z", 1, "Opens now"],
    ["2026-11-23T14:30:10Z", 1, "Opens now"],
    ["2026-11-23T14:31:05Z", 1, "Opens: late by 1:05"],
    ["2026-11-23T14:31:05Z", 60, "Opens now"],
  ])("at %s and speed %s say %s", (now, speed, says) => {
    expect(nextEvent(market, Date.parse(now), speed)).toBe(says);
  });

  it("show a local clock and what the exchange has not published yet", () => {
    vi.useFakeTimers({ now: Date.parse("2026-11-23T14:29:00Z") });
    const client = new ThorClient({ environment: { openSocket: undefined } });
    render(
      <ThorProvider client={client}>
        <Markets markets={[market]} />
      </ThorProvider>,
    );
    expect(screen.getByRole("listitem").textContent).toBe("New YorkprovisionalMon 09:29:00ClosedOpens in 1:00");
    cleanup();
    vi.useRealTimers();
  });
});

describe("what nobody expected", () => {
  const snapshot = (data: unknown): FeatureSnapshot => ({ ...emptySnapshot, data, label: "REST", dataSource: "rest" });
  const shown = (data: unknown, children: ReactNode) => {
    const client = new ThorClient({ environment: { openSocket: undefined } });
    return (
      <ThorProvider client={client}>
        <Panel name="x" title="Something" snapshot={snapshot(data)}>
          {children}
        </Panel>
      </ThorProvider>
    );
  };

  it("leaves the page and the head of the panel, and goes away with the next value", () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const Broken = (): ReactNode => {
      throw new Error("a value nobody expected");
    };
    const { rerender } = render(shown(1, <Broken />));
    expect(screen.getByRole("region", { name: "Something" }).textContent).toContain(
      "This panel cannot show what came.",
    );
    expect(screen.getByText("REST")).toBeTruthy();
    rerender(shown(2, "a value"));
    expect(screen.getByRole("region").textContent).toContain("a value");
  });

  it("is shown as far as it can be: a currency, a phase, a zone", () => {
    const odd = { account_id: "A", currency: "USDT", equity: 1234.5, cash: 1, buying_power: 1 } as AccountBalance;
    const { container } = render(<Balance balance={odd} />);
    expect(container.querySelector(".figure")?.textContent).toBe("1,234.50 USDT");
    cleanup();
    const auction = {
      market_id: "X",
      market: "Somewhere",
      timezone: "Mars/X",
      status: "CLOSING_AUCTION",
      next_event: "OPENING_AUCTION",
      next_event_at: "2999-01-01T00:00:00Z",
    } as unknown as MarketStatus;
    const client = new ThorClient({ environment: { openSocket: undefined } });
    render(
      <ThorProvider client={client}>
        <Markets markets={[auction]} />
      </ThorProvider>,
    );
    expect(screen.getByRole("listitem").textContent).toMatch(/^Somewhere— —Closing auctionOpening auction in \d+ d/);
  });
});

describe("a feature without a panel", () => {
  it("is shown as it comes", async () => {
    const order = {
      ...features[0],
      name: "orders",
      type: "order",
      path: "/api/orders",
      list: "orders",
      key: "order_id",
    };
    const rows = [
      { order_id: "1", account_id: "A", limit: null, timestamp },
      { order_id: "2", account_id: "A", limit: 5, timestamp },
    ];
    const client = new ThorClient({
      features: [...features, order],
      environment: {
        openSocket: undefined,
        fetch: async (url) => Response.json(url.includes("/api/orders?account_id=A") ? { orders: rows } : {}),
        baseUrl: "http://thor/",
      },
    });
    render(
      <ThorProvider client={client}>
        <GenericPanel feature={order} account="A" />
      </ThorProvider>,
    );
    expect(await screen.findByRole("columnheader", { name: "Order id" })).toBeTruthy();
    expect(screen.getByRole("region", { name: "Orders" })).toBeTruthy();
    expect(screen.getAllByRole("row").map((r) => r.textContent)).toEqual([
      "Order idAccount idLimitTimestamp",
      `2A5${timestamp}`,
      `1A—${timestamp}`,
    ]);
  });
});
