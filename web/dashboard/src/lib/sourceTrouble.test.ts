import { describe, expect, it } from "vitest";
import { textOf } from "./sourceTrouble.ts";
import { clockTime, dateTime } from "./time.ts";

const now = Date.parse("2026-11-23T15:30:00Z");
const then = now - 90_000;
const at = clockTime(then);

describe("why nothing new comes", () => {
  it.each([
    ["transient", `The source has not answered since ${at}; these values are of then.`],
    ["hung", `The source has not answered since ${at}; these values are of then.`],
    ["bad_data", `What the source answers cannot be read since ${at}; these values are of then.`],
    ["auth_required", `The source wants somebody to sign in again. These values are of ${at}.`],
    ["forbidden", `The source does not let this be read. These values are of ${at}.`],
    ["outside", `The job that publishes this has been silent since ${at}; these values are of then.`],
    ["server", `The server has not taken new values in since ${at}; these values are of then.`],
    ["of another day", `Nothing has come from the source since ${at}; these values are of then.`],
  ])("%s: in words that a viewer may read", (kind, text) => {
    expect(textOf({ kind }, then, now)).toBe(text);
  });

  it("says until when the source is left alone, while it is", () => {
    const until = now + 30_000;
    const text = `The source wants to be left alone until ${clockTime(until)}. These values are of ${at}.`;
    expect(textOf({ kind: "rate_limited", until }, then, now)).toBe(text);
    const over = textOf({ kind: "rate_limited", until }, then, until);
    expect(over).toBe(`The source wants to be left alone. These values are of ${at}.`);
  });

  it("speaks of no values where there are none", () => {
    expect(textOf({ kind: "transient" }, undefined, now)).toBe("The source has not answered so far.");
    expect(textOf({ kind: "transient", since: then }, undefined, now)).toBe(`The source has not answered since ${at}.`);
    expect(textOf({ kind: "forbidden" }, undefined, now)).toBe("The source does not let this be read.");
  });

  it("says the day of what is old", () => {
    const friday = now - 3 * 86_400_000;
    expect(textOf({ kind: "transient" }, friday, now)).toContain(`since ${dateTime(friday)};`);
  });
});
