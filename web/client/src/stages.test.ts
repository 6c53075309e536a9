import { describe, expect, it } from "vitest";
import { parseTag } from "./rest.ts";
import { parseCutover, type StageNews, Stages } from "./stages.ts";
import { Batch } from "./store.ts";

function stagesOf(...news: StageNews[]): Stages {
  const stages = new Stages(new Batch((run) => run()), () => {});
  for (const each of news) stages.learn("positions", each);
  return stages;
}

const told = (...news: StageNews[]) => stagesOf(...news).get("positions");

describe("stages", () => {
  it("believes the higher rev, whichever channel it came by", () => {
    expect(told({ stage: "live", rev: 4 }, { stage: "shadow", dataSource: "rest", rev: 3 })?.stage).toBe("live");
    expect(told({ stage: "live", rev: 4 }, { stage: "shadow", dataSource: "rest", rev: 5 })?.stage).toBe("shadow");
  });

  it("believes the later word at the same rev", () => {
    expect(told({ stage: "live", rev: 4 }, { stage: "shadow", rev: 4 })?.stage).toBe("shadow");
  });

  it("does not compare revs of different stores", () => {
    expect(told({ stage: "live", rev: 9, epoch: "a" }, { stage: "shadow", rev: 1, epoch: "b" })?.stage).toBe("shadow");
    expect(told({ stage: "live", rev: 9, epoch: "a" }, { stage: "shadow", rev: 1, epoch: "a" })?.stage).toBe("live");
  });

  it("follows from the stage what to render, but in canary", () => {
    expect(told({ stage: "shadow", dataSource: "ws", rev: 1 })?.dataSource).toBe("rest");
    expect(told({ stage: "live", dataSource: "rest", rev: 1 })?.dataSource).toBe("ws");
  });

  it("keeps an assignment in canary until another one comes", () => {
    const assigned: StageNews[] = [
      { stage: "shadow", rev: 1 },
      { stage: "canary", dataSource: "ws", rev: 2 }, // the assignment may come before the cutover
      { stage: "canary", rev: 2 },
    ];
    expect(told(...assigned)?.dataSource).toBe("ws");
    expect(told(...assigned, { stage: "canary", rev: 3 })?.dataSource).toBe("ws");
    expect(told(...assigned, { stage: "canary", dataSource: "rest", rev: 3 })?.dataSource).toBe("rest");
    expect(told({ stage: "shadow", rev: 1 }, { stage: "canary", rev: 2 })?.dataSource).toBe("rest");
  });

  it("keeps its reference when nothing is new", () => {
    const stages = stagesOf({ stage: "live", rev: 4 });
    const before = stages.get("positions");
    stages.learn("positions", { stage: "live", dataSource: "ws", rev: 4 });
    expect(stages.get("positions")).toBe(before);
  });
});

describe("a force", () => {
  const force: StageNews = { stage: "shadow", rev: 4, forced: true, at: 10 };
  const lifted: StageNews = { stage: "live", rev: 4, forced: false, at: 20 };
  const live: StageNews = { stage: "live", rev: 4, epoch: "a" };
  const shadow = { stage: "shadow", dataSource: "rest", rev: 4, forced: true, stored: "live" };

  it("lies over what is stored, whatever comes first", () => {
    expect(told(live, force)).toEqual(shadow);
    expect(told(force, live)).toEqual(shadow);
    expect(told(force, live, { stage: "rampdown", rev: 5, epoch: "a" })).toEqual({
      ...shadow,
      rev: 5,
      stored: "rampdown",
    });
  });

  it("counts while nothing else is known", () => {
    expect(told(force)).toEqual({ stage: "shadow", dataSource: "rest", rev: 4, forced: true });
  });

  it("goes only toward REST", () => {
    const later: StageNews = { stage: "shadow", rev: 5, epoch: "a" };
    expect(told(live, { ...force, stage: "canary" }, later)).toEqual({ stage: "shadow", dataSource: "rest", rev: 5 });
  });

  it("is lifted by the next who says so, not by what was asked for before", () => {
    expect(told(live, force, lifted)).toEqual({ stage: "live", dataSource: "ws", rev: 4 });
    expect(told(live, force, { ...lifted, at: 9 })).toEqual(shadow);
    expect(told(live, force, lifted, { ...force, at: 19 })).toEqual({ stage: "live", dataSource: "ws", rev: 4 });
    expect(told(live, force, lifted, { ...force, at: 21 })).toEqual(shadow);
  });

  it("to canary leaves what is stored to itself", () => {
    const stages = stagesOf(live, { ...force, stage: "canary" });
    stages.assign("positions", "rest", 4);
    expect(stages.get("positions")).toEqual({ ...shadow, stage: "canary" });
    stages.learn("positions", lifted);
    expect(stages.get("positions")?.stage).toBe("live");
  });
});

describe("a Cutover header", () => {
  it("is read", () => {
    expect(parseCutover("stage=canary, data_source=ws, rev=12")).toEqual({
      stage: "canary",
      dataSource: "ws",
      rev: 12,
      forced: false,
    });
    expect(parseCutover("stage=shadow, data_source=rest, rev=12, forced, stale")).toEqual({
      stage: "shadow",
      dataSource: "rest",
      rev: 12,
      forced: true,
    });
  });

  it.each([null, "", "stage=paused, rev=1", "stage=live, rev=x", "rev=3"])("%s says nothing", (header) => {
    expect(parseCutover(header)).toBeUndefined();
  });
});

describe("an entity tag", () => {
  it.each([
    ['"account_balance:A:k3f9-1042"', { epoch: "k3f9", seq: 1042 }],
    ['"intraday:FUT.ES:k3f9-7;h=a17b86ba"', { epoch: "k3f9", seq: 7 }],
    ['W/"global_market:k3f9-3"', { epoch: "k3f9", seq: 3 }],
    ['"something else"', undefined],
    [null, undefined],
  ])("%s", (tag, version) => {
    expect(parseTag(tag)).toEqual(version);
  });
});
