import { describe, expect, it } from "vitest";
import { Clock } from "./clock.ts";

/** A clock on a machine whose time the test sets. */
function setup() {
  const machine = { now: 1_795_000_000_000 };
  return { machine, clock: new Clock(() => machine.now) };
}

describe("the server's clock", () => {
  it("is told apart from ours", () => {
    const { machine, clock } = setup();
    clock.setServer(machine.now + 30_000);
    expect(clock.local(machine.now + 30_000)).toBe(machine.now);
    expect(clock.sourceNow()).toBe(machine.now + 30_000);
  });

  it("is best known from what was on its way for the shortest time", () => {
    const { machine, clock } = setup();
    for (const way of [900, 40, 8000, 300]) {
      clock.setServer(machine.now + 1000 - way);
      machine.now += 5000;
    }
    expect(clock.local(machine.now + 1000)).toBe(machine.now + 40);
  });

  it("drifts: what was compared minutes ago does not count", () => {
    const { machine, clock } = setup();
    clock.setServer(machine.now + 1000);
    for (let i = 0; i < 61; i++) {
      machine.now += 5000;
      clock.setServer(machine.now + 500);
    }
    expect(clock.local(machine.now + 500)).toBe(machine.now);
  });

  it.each([3_600_000, -3_600_000])("is compared anew when one of the two was set by %s ms", (jump) => {
    const { machine, clock } = setup();
    clock.setServer(machine.now);
    machine.now += 5000;
    clock.setServer(machine.now + jump);
    expect(clock.local(machine.now + jump)).toBe(machine.now);
  });

  it("is not changed by what is no time", () => {
    const { machine, clock } = setup();
    clock.setServer(Number.NaN);
    clock.setSource(Number.NaN, 60, true);
    expect(clock.sourceNow()).toBe(machine.now);
  });
});

describe("the source's clock", () => {
  it("stands where a replay is over", () => {
    const machine = { now: 1_000_000 };
    const clock = new Clock(() => machine.now);
    clock.setSource(1000, 0, true);
    machine.now += 60_000;
    expect(clock.sourceNow()).toBe(1000);
    expect(clock.untilSource(2000)).toBe(Number.POSITIVE_INFINITY);
  });

  it("runs at its speed where it is virtual", () => {
    const { machine, clock } = setup();
    clock.setSource(1000, 60, true);
    machine.now += 2000;
    expect(clock.sourceNow()).toBe(1000 + 120_000);
  });

  it("is the server's where it is not", () => {
    const { machine, clock } = setup();
    clock.setServer(machine.now + 700);
    clock.setSource(1000, 1, false);
    expect(clock.sourceNow()).toBe(machine.now + 700);
  });
});
