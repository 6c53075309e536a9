import { expect, type Page } from "@playwright/test";
import { faults as barriers } from "../axe.ts";
import { Backend, type FaultName } from "../backend.ts";
import { age, test as base, equity, panel } from "../fixtures.ts";
import { Server, tokenFor } from "../server.ts";

const test = base.extend<{ backend: Backend; guarded: Server }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of the parameters
  backend: async ({}, use) => {
    const backend = await Backend.start();
    await use(backend);
    backend.stop();
  },
  server: async ({ backend }, use) => {
    const server = await Server.start(...backend.flags);
    await use(server);
    await server.remove();
  },
  guarded: async ({ backend }, use) => {
    const server = await Server.guarded(...backend.flags);
    await use(server);
    await server.remove();
  },
});

const trouble = (page: Page) => panel(page, "Account balance").locator(".trouble");
const stale = (page: Page) => panel(page, "Account balance").getByText(/^Stale/);
const money = /^[−-]?\$[\d,]+\.\d\d$/;

/** What a person reads: everybody, and who may do something about it. */
const words: readonly [FaultName, RegExp, RegExp][] = [
  [
    "an error of its own",
    /^The source has not answered since \d\d:\d\d:\d\d; these values are of then\./,
    /the backend failed with 503: down for maintenance/,
  ],
  [
    "a web page",
    /^What the source answers cannot be read since \d\d:\d\d:\d\d; these values are of then\./,
    /it is not JSON: a web page with the title "Welcome to nginx!"\. Is this the backend itself/,
  ],
  ["half an answer", /^The source has not answered since/, /only a part of the answer came/],
  [
    "a field of another name",
    /^What the source answers cannot be read since/,
    /\/net_liquidation is missing, and the mapping requires it\. thor upstream check shows/,
  ],
  [
    "too often",
    /^The source wants to be left alone until \d\d:\d\d:\d\d\. These values are of \d\d:\d\d:\d\d\./,
    /it was too often, 429: throttled|wants to be left alone for another/,
  ],
  ["no answer at all", /^The source has not answered since/, /did not answer in time/],
  [
    "a login that has expired", // the last: for a minute thor does not try again
    /^The source wants somebody to sign in again\. These values are of \d\d:\d\d:\d\d\./,
    /the sign-in was refused.*Check THOR_UPSTREAM_USER and THOR_UPSTREAM_PASSWORD\. thor tries once a minute\./,
  ],
];

test("every way a source can fail is told in words, the last values stay, and all goes on by itself", async ({
  page,
  server,
  backend,
}) => {
  test.setTimeout(480_000);
  await page.goto(server.url);
  await expect(equity(page)).toHaveText(money);
  for (const [fault, plain, why] of words) {
    await test.step(fault, async () => {
      const seen = follow(await values(page));
      backend.fault = fault;
      await expect(stale(page)).toBeVisible({ timeout: 30_000 });
      await expect(trouble(page)).toHaveText(plain, { timeout: 30_000 });
      await expect(trouble(page).locator(".why")).toHaveText(why);
      const last = await values(page);
      seen(last);
      const older = await age(page, "Account balance");
      await expect.poll(() => age(page, "Account balance")).toBeGreaterThan(older);
      seen(await values(page));
      expect(await values(page)).toEqual(last);
      await expect(page.getByText("Connected", { exact: true })).toBeVisible(); // it is the source alone

      backend.fault = undefined;
      await expect(trouble(page)).toHaveCount(0, { timeout: 100_000 });
      await expect(stale(page)).toHaveCount(0);
      await expect.poll(async () => (await values(page)).join()).not.toBe(last.join());
    });
  }
});

for (const scheme of ["dark", "light"] as const) {
  for (const [device, viewport] of Object.entries({
    desktop: { width: 1440, height: 900 },
    phone: { width: 390, height: 844 },
  })) {
    test(`${scheme} on a ${device}: the reason is readable and within the screen`, async ({
      page,
      server,
      backend,
    }) => {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(server.url);
      await expect(equity(page)).toHaveText(money);
      backend.fault = "an error of its own";
      await expect(trouble(page).locator(".why")).toBeVisible({ timeout: 30_000 });
      await expect(panel(page, "Positions").locator(".trouble .why")).toBeVisible({ timeout: 30_000 });
      await page.screenshot({ path: `shots/source-${device}-${scheme}.png`, fullPage: true });
      const beyond = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect(beyond, "pixels beyond the right edge").toBeLessThanOrEqual(0);
      expect(await barriers(page)).toEqual([]);
    });
  }
}

test("a viewer reads that it is so, an operator why", async ({ page, guarded, backend }) => {
  const signIn = async (...flags: string[]): Promise<void> => {
    await page.goto(guarded.url);
    await page.getByLabel("Token", { exact: true }).fill(tokenFor("ada", ...flags));
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(equity(page)).toHaveText(money);
  };
  await signIn("--accounts", "PAPER-1");
  const account = page.getByRole("combobox", { name: "Account" }).getByRole("option");
  await expect(account).toHaveText([/^PAPER-1 \(…\d{4}\)$/]);
  backend.fault = "an error of its own";
  await expect(trouble(page)).toHaveText(
    /^The source has not answered since \d\d:\d\d:\d\d; these values are of then\.$/,
    {
      timeout: 30_000,
    },
  );
  expect(await page.content()).not.toContain("maintenance");
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn("--accounts", "PAPER-1", "--role", "operator");
  await expect(trouble(page).locator(".why")).toHaveText(/down for maintenance/, { timeout: 30_000 });
});

test("where there was never a value the panel says why", async ({ page, backend }) => {
  backend.fault = "an error of its own";
  const server = await Server.waiting(...backend.flags);
  try {
    await page.goto(server.url);
    await expect(trouble(page)).toHaveText(/^The source has not answered so far\./, { timeout: 30_000 });
    await expect(panel(page, "Account balance")).not.toContainText("$");
    backend.fault = undefined;
    await expect(equity(page)).toHaveText(money, { timeout: 60_000 });
    await expect(trouble(page)).toHaveCount(0);
  } finally {
    await server.remove();
  }
});

/** The money of the balance, as it is shown. */
async function values(page: Page): Promise<string[]> {
  const all = await panel(page, "Account balance").locator(".balance :is(.figure, dd)").allTextContents();
  expect(all.length).toBeGreaterThanOrEqual(3);
  return all;
}

/** Watches that nothing that was known turns into zero or nothing. */
function follow(before: readonly string[]): (after: readonly string[]) => void {
  return (after) => {
    expect(after).toHaveLength(before.length);
    for (const [i, text] of after.entries()) {
      if (/[1-9]/.test(before[i] ?? "")) expect(text, `was ${before[i]}`).toMatch(/[1-9]/);
    }
  };
}
