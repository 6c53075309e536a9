import type { MarketStatus } from "@thor/client";
import { describe, expect, it } from "vitest";
import { displayOrder, inDisplayOrder } from "./markets.ts";

interface CalendarFile {
  markets: { id: string; order: number }[];
}

describe("the order of display", () => {
  it("is that of the calendars", () => {
    const files = import.meta.glob<CalendarFile>("../../../../internal/calendar/data/*.json", { eager: true });
    const markets = Object.values(files).flatMap((file) => file.markets);
    markets.sort((a, b) => a.order - b.order);
    expect(displayOrder).toEqual(markets.map(({ id }) => id));
  });

  it("puts markets it does not know at the end, by name", () => {
    const named = (market_id: string, market: string) => ({ market_id, market }) as MarketStatus;
    const came = [named("CMES", "Futures"), named("B", "Zurich"), named("XTKS", "Tokyo"), named("Z", "Athens")];
    expect(inDisplayOrder(came).map(({ market }) => market)).toEqual(["Tokyo", "Futures", "Athens", "Zurich"]);
  });
});
