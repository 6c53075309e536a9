import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Gate } from "./gate.ts";

const part = (value: object): string => btoa(JSON.stringify(value)).replaceAll("=", "");
const tokenFor = (sub: string, note = ""): string => `${part({})}.${part({ sub, note })}.c2ln`;

/** Answers like a server with a key that lets these tokens in. */
function serve(...good: string[]): void {
  vi.stubGlobal("fetch", async (_url: string, init: RequestInit) => {
    const token = new Headers(init.headers).get("Authorization")?.replace("Bearer ", "");
    if (token !== undefined && good.includes(token)) return Response.json({ features: [] });
    const detail = token === undefined ? "a key is configured, and the request has no token" : "the token has expired";
    return Response.json({ detail }, { status: 401 });
  });
}

beforeEach(() => sessionStorage.clear());
afterEach(() => vi.unstubAllGlobals());

describe("the gate", () => {
  it("lets the local operator in without a word", async () => {
    vi.stubGlobal("fetch", async () => Response.json({ features: [] }));
    const gate = new Gate();
    await gate.knock();
    expect(gate.getSnapshot()).toMatchObject({ status: "inside", signedIn: false });
  });

  it("asks who has no token, and complains of nothing", async () => {
    serve();
    const gate = new Gate();
    await gate.knock();
    expect(gate.getSnapshot()).toEqual({ status: "outside", trouble: undefined });
  });

  it("keeps a token that is taken for the tab, and forgets it and the rest on the way out", async () => {
    const token = tokenFor("ada");
    serve(token);
    const gate = new Gate();
    expect(await gate.enter(` Bearer ${token} `)).toBeUndefined();
    expect(gate.getSnapshot()).toMatchObject({ status: "inside", signedIn: true });
    const again = new Gate();
    await again.knock();
    expect(again.getSnapshot()).toMatchObject({ status: "inside", signedIn: true });
    sessionStorage.setItem("thor.account", "A");
    again.leave();
    expect(again.getSnapshot()).toEqual({ status: "outside", trouble: undefined });
    expect(sessionStorage).toHaveLength(0);
    expect(JSON.stringify(localStorage)).not.toContain(token);
  });

  it("says what is wrong, and keeps nothing of it", async () => {
    serve();
    const gate = new Gate();
    expect(await gate.enter("")).toBe("Enter a token.");
    expect(await gate.enter("hunter2")).toContain("not a token");
    expect(await gate.enter(tokenFor("ada"))).toBe("The token has expired.");
    expect(sessionStorage).toHaveLength(0);
  });

  it("asks again when the token of the tab is not taken any more", async () => {
    sessionStorage.setItem("thor.token", tokenFor("ada"));
    serve();
    const gate = new Gate();
    await gate.knock();
    expect(gate.getSnapshot()).toEqual({ status: "outside", trouble: "The token has expired." });
    expect(sessionStorage).toHaveLength(0);
  });

  it("keeps the client for a newer token of the same person, and makes another for somebody else", async () => {
    const [first, second, bob] = [tokenFor("ada"), tokenFor("ada", "newer"), tokenFor("bob")];
    serve(first, second, bob);
    const gate = new Gate();
    await gate.enter(first);
    const before = gate.getSnapshot();
    await gate.enter(second);
    expect(gate.getSnapshot()).toBe(before);
    expect(sessionStorage.getItem("thor.token")).toBe(second);
    await gate.enter(bob);
    const after = gate.getSnapshot();
    expect(before.status === "inside" && after.status === "inside" && after.client !== before.client).toBe(true);
    expect(before.status === "inside" && after.status === "inside" && after.visit !== before.visit).toBe(true);
  });

  it("offers no field where no token can help", async () => {
    vi.stubGlobal("fetch", async () => Response.json({ detail: "no key is configured, so" }, { status: 401 }));
    const gate = new Gate();
    await gate.knock();
    expect(gate.getSnapshot()).toMatchObject({ status: "locked" });
  });
});
