import type { MarketStatus } from "@thor/client";

/** The built-in markets from east to west, as the server's calendars have them. */
export const displayOrder: readonly string[] = [
  "XTKS",
  "XSHG",
  "XHKG",
  "XNSE",
  "XETR",
  "XLON",
  "XNYS.PRE",
  "XNYS",
  "XTSE",
  "XMEX",
  "CMES",
];

/** The markets in the order of display; those of an operator's own come last, by name. */
export function inDisplayOrder(markets: readonly MarketStatus[]): MarketStatus[] {
  const place = ({ market_id }: MarketStatus): number => {
    const found = displayOrder.indexOf(market_id);
    return found < 0 ? displayOrder.length : found;
  };
  return [...markets].sort((a, b) => place(a) - place(b) || a.market.localeCompare(b.market));
}
