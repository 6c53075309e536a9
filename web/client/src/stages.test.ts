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

  it("believes the later word at the same rev: a forced stage keeps its rev", () => {
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

describe("a Cutover header", () => {
  it("is read", () => {
    expect(parseCutover("stage=canary, data_source=ws, rev=12")).toEqual({
      stage: "canary",
      dataSource: "ws",
      rev: 12,
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
