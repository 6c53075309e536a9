import { describe, expect, it } from "vitest";
import { clockTime, countdown, weekday } from "./time.ts";

const at = Date.parse("2026-11-23T04:04:05Z");

describe("time", () => {
  it("is that of the market", () => {
    expect(clockTime(at, "America/New_York")).toBe("23:04:05");
    expect(weekday(at, "America/New_York")).toBe("Sun");
    expect(clockTime(at, "Asia/Tokyo")).toBe("13:04:05");
    expect(clockTime(Date.parse("2026-11-23T05:00:00Z"), "America/New_York")).toBe("00:00:00");
  });

  it.each([
    [59_000, "0:59"],
    [605_000, "10:05"],
    [17_712_000, "4:55:12"],
    [187_200_000, "2 d 4 h"],
  ])("%i ms away is %s", (ms, text) => expect(countdown(ms)).toBe(text));
});
