import { expect } from "@playwright/test";
import { Backend } from "../backend.ts";
import { test as base } from "../fixtures.ts";
import { Server } from "../server.ts";

const test = base.extend<{ backend: Backend }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of the parameters
  backend: async ({}, use) => {
    const backend = await Backend.start("--sim-speed", "0.01"); // its values stand while they are compared
    await use(backend);
    backend.stop();
  },
  server: async ({ backend }, use) => {
    const server = await Server.start(...backend.flags);
    await use(server);
    await server.remove();
  },
});

const login = { email: "trader@example.com", password: "simulated" };

/** What the old page asks for, with the feature it is of. */
const asked = {
  "/api/users/profile/": undefined,
  "/api/actandpos/accounts": undefined,
  "/api/accounts/balance/?account_id=PAPER-1": "account_balance",
  "/api/actandpos/positions?account_id=PAPER-1": "positions",
  "/api/session/?market=USA&future=ES": "intraday",
  "/api/global-markets/markets/": "global_market",
} as const;

interface Answer {
  status: number;
  type: string | null;
  cutover: string | null;
  body: string;
}

/** Signs in at a server and asks it for everything, in a browser or without one. */
async function ask({
  at,
  paths,
  login,
}: {
  at: string;
  paths: string[];
  login: object;
}): Promise<Record<string, Answer>> {
  const method = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(login) };
  const signedIn = (await (await fetch(`${at}/api/users/login/`, method)).json()) as { access: string };
  const answers: Record<string, Answer> = {};
  for (const path of paths) {
    const answer = await fetch(at + path, { headers: { Authorization: `Bearer ${signedIn.access}` } });
    const { status, headers } = answer;
    const [type, cutover] = [headers.get("Content-Type"), headers.get("Cutover")];
    answers[path] = { status, type, cutover, body: await answer.text() };
  }
  return answers;
}

/** An answer without the time of day in it, which goes on between two of them. */
const timeless = (body: string): string => body.replace(/\d\d:\d\d:\d\d(\.\d+)?|(?<="timestamp":)\d+\.\d+/g, "now");

test("a page that knows the old paths alone gets from thor what the backend says", async ({
  page,
  server,
  backend,
}) => {
  const paths = Object.keys(asked);
  const direct = await ask({ at: backend.url, paths, login });
  await page.goto(`${server.url}/api/users/profile/`); // somewhere in the backend
  const through = await page.evaluate(ask, { at: "", paths, login });
  for (const [path, feature] of Object.entries(asked)) {
    const { cutover, ...got } = through[path] as Answer;
    const { cutover: none, ...want } = direct[path] as Answer;
    expect(got.status, path).toBe(200);
    expect({ ...got, body: timeless(got.body) }, path).toEqual({ ...want, body: timeless(want.body) });
    expect([none, cutover !== null], path).toEqual([null, feature !== undefined]);
  }

  const { consumers } = (await (await fetch(`${server.url}/api/consumers`)).json()) as {
    consumers: { feature: string; user_agent: string; via: string }[];
  };
  const agent = await page.evaluate(() => navigator.userAgent);
  for (const feature of Object.values(asked).filter((feature) => feature !== undefined)) {
    expect(consumers, feature).toContainEqual(
      expect.objectContaining({ feature, user_agent: agent, via: "frontdoor" }),
    );
  }
});
