import { describe, expect, it } from "vitest";
import {
  accountName,
  alignedPrices,
  change,
  direction,
  money,
  percent,
  price,
  priceChange,
  quantity,
  volume,
  words,
} from "./format.ts";

describe("numbers", () => {
  it.each([
    [money(81950.3), "81,950.30"],
    [money(81950.3, "USD"), "$81,950.30"],
    [money(-2561.09, "USD"), "−$2,561.09"],
    [money(0), "0.00"],
    [change(207.16), "+207.16"],
    [change(-44.52), "−44.52"],
    [change(0), "0.00"],
    [change(-0.001), "0.00"],
    [percent(-0.3183), "−0.32%"],
    [price(266.1028), "266.1028"],
    [price(268.54), "268.54"],
    [price(95164), "95,164.00"],
    [quantity(0.0875), "0.0875"],
    [quantity(85), "85"],
    [quantity(-1), "−1"],
    [volume(4463.2), "4.463K"],
    [volume(6600), "6.600K"], // always as wide
    [volume(640), "640"],
    [priceChange(0.0031), "+0.0031"],
    [money(1.5, "USDT"), "1.50 USDT"],
    [words("day_trading_buying_power"), "Day trading buying power"],
  ])("%s is %s", (got, want) => expect(got).toBe(want));

  it.each([money, change, percent, price, quantity, volume])("what is unknown is a dash, never zero", (format) => {
    expect(format(null)).toBe("—");
    expect(format(undefined)).toBe("—");
    expect(format(Number.NaN)).toBe("—");
  });

  it("prices of a column stand with their points below each other", () => {
    expect(alignedPrices([266.1028, 268.54, null])).toEqual(["266.1028", "268.54\u2007\u2007", "—"]);
    expect(alignedPrices([268.54, 9])).toEqual(["268.54", "9.00"]);
  });

  it("point where their shown value points", () => {
    const amounts = [0.01, -0.01, 0.001, 0, null].map((value) => direction(change(value)));
    expect(amounts).toEqual(["up", "down", "flat", "flat", "unknown"]);
    expect(direction(priceChange(0.0031))).toBe("up");
  });
});

describe("accounts", () => {
  it("have the end of their number beside the id, of which a long one is cut", () => {
    expect(accountName("PAPER-1", undefined)).toBe("PAPER-1");
    expect(accountName("account-7", "…1234")).toBe("account-7 (…1234)");
    expect(accountName("4d0fa7dd1cb08d4ef4ccf15d5ae38a5f", "…1234")).toBe("4d0fa7dd… (…1234)");
  });
});
