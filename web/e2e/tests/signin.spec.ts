import { expect, type Page } from "@playwright/test";
import { faults } from "../axe.ts";
import { test as base, equity, panel } from "../fixtures.ts";
import { Server, tokenFor } from "../server.ts";

const test = base.extend({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of the parameters
  server: async ({}, use) => {
    const server = await Server.guarded();
    await use(server);
    await server.remove();
  },
});

const field = (page: Page) => page.getByLabel("Token", { exact: true });

async function signIn(page: Page, token: string): Promise<void> {
  await field(page).fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** What a person could find of somebody who was here: the text, and what the browser keeps. */
function traces(page: Page): Promise<string> {
  return page.evaluate(() =>
    [
      document.documentElement.outerHTML,
      JSON.stringify(sessionStorage),
      JSON.stringify(localStorage),
      document.cookie,
    ].join(),
  );
}

test("a token shows the numbers of its account, who is there, and nothing of anybody else", async ({
  page,
  server,
  record,
}) => {
  test.setTimeout(120_000); // it comes and goes four times
  await page.goto(server.url);
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await expect(page.getByText("thor token create")).toBeVisible();
  await expect(page.getByRole("alert")).toHaveCount(0); // nothing was wrong yet
  const ada = tokenFor("lovelace", "--accounts", "PAPER-1");
  await signIn(page, `  Bearer ${ada}\n`);

  await expect(page.getByText("Connected", { exact: true })).toBeVisible();
  await expect(equity(page)).toHaveText(/\$\d/);
  await expect(panel(page, "Positions").getByRole("row", { name: /^Total/ })).toBeVisible();
  await expect(page.getByRole("banner")).toContainText(/lovelace.*viewer/);
  await expect(page.getByRole("combobox", { name: "Account" }).getByRole("option")).toHaveText(["PAPER-1"]);
  const before = await equity(page).textContent();
  await expect(equity(page)).not.toHaveText(before ?? "");

  await page.reload(); // the tab remembers
  await expect(page.getByText("Connected", { exact: true })).toBeVisible();
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain(ada);
  expect(record.requests.join("\n")).not.toContain(ada);

  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  const left = await traces(page);
  for (const trace of [ada, "PAPER-1", "lovelace", before ?? "?"]) expect(left).not.toContain(trace);

  await signIn(page, tokenFor("bob", "--accounts", "PAPER-2", "--role", "operator"));
  await expect(page.getByRole("banner")).toContainText(/bob.*operator/);
  await expect(equity(page)).toHaveText(/\$\d/);
  await expect(page.getByRole("combobox", { name: "Account" })).toHaveValue("PAPER-2");
  await expect(panel(page, "Account balance").getByText("Day-trading")).toHaveCount(0); // this one has none
  const now = await traces(page);
  for (const trace of [ada, "PAPER-1", "lovelace", before ?? "?"]) expect(now).not.toContain(trace);
  await page.reload();
  await expect(page.getByText("Connected", { exact: true })).toBeVisible();

  // The browser itself notes every 401.
  expect(record.errors.filter((line) => !line.includes("401"))).toEqual([]);
  expect([...record.errors, ...record.lines].join("\n")).not.toContain(ada);
});

test("what is wrong with a token is said", async ({ page, server }) => {
  await page.goto(server.url);
  const alert = page.getByRole("alert");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(alert).toHaveText("Enter a token.");
  await signIn(page, "PAPER-1");
  await expect(alert).toContainText("This is not a token");
  const good = tokenFor("ada", "--accounts", "PAPER-1");
  await signIn(page, `${good.slice(0, -4)}AAAA`);
  await expect(alert).toContainText("The token is not valid");
  await expect(field(page)).toHaveAttribute("aria-invalid", "true");
  const short = tokenFor("ada", "--accounts", "PAPER-1", "--ttl", "1s");
  await page.waitForTimeout(2100); // a token is good for whole seconds
  await signIn(page, short);
  await expect(alert).toContainText("The token has expired");
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  await signIn(page, good);
  await expect(equity(page)).toHaveText(/\$\d/);
});

test("a token that ends asks again", async ({ page, server }) => {
  await page.goto(server.url);
  await signIn(page, tokenFor("ada", "--accounts", "PAPER-1", "--ttl", "8s"));
  await expect(page.getByRole("alert")).toHaveText(/token has expired/, { timeout: 30_000 });
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  expect(await traces(page)).not.toContain("PAPER-1");
});

test("a newer token in time goes on without a break", async ({ page, server }) => {
  test.setTimeout(120_000);
  await page.goto(server.url);
  const ends = Date.now() + 30_000;
  await signIn(page, tokenFor("ada", "--accounts", "PAPER-1", "--ttl", "30s"));
  const badge = page.getByText("Connected", { exact: true });
  await expect(badge).toBeVisible();
  const connection = (await badge.getAttribute("title")) ?? "";
  await page.getByRole("button", { name: "Enter a new one" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Token").fill("nonsense");
  await dialog.getByRole("button", { name: "Go on" }).click();
  await expect(dialog.getByRole("alert")).toContainText("not a token");
  expect(await faults(page)).toEqual([]);
  await dialog.getByLabel("Token").fill(tokenFor("ada", "--accounts", "PAPER-1", "--ttl", "1h"));
  await dialog.getByRole("button", { name: "Go on" }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByText("Your token expires")).toHaveCount(0);
  await page.waitForTimeout(Math.max(0, ends + 2000 - Date.now())); // beyond the end of the first
  await expect(badge).toHaveAttribute("title", connection);
});

for (const scheme of ["dark", "light"] as const) {
  for (const [device, viewport] of Object.entries({
    desktop: { width: 1440, height: 900 },
    phone: { width: 390, height: 844 },
  })) {
    test(`${scheme} on a ${device}: the way in and the page behind it are readable`, async ({ page, server }) => {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(server.url);
      await signIn(page, "nonsense");
      await expect(page.getByRole("alert")).not.toBeEmpty();
      await page.screenshot({ path: `shots/signin-${device}-${scheme}.png`, fullPage: true });
      expect(await faults(page)).toEqual([]);
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      await signIn(page, tokenFor("ada.lovelace@example.com", "--accounts", "PAPER-1", "--ttl", "2m"));
      await expect(panel(page, "Positions").getByRole("row", { name: /^Total/ })).toBeVisible();
      await expect(page.getByText("Connected", { exact: true })).toBeVisible();
      await page.screenshot({ path: `shots/signedin-${device}-${scheme}.png`, fullPage: true });
      expect(await faults(page)).toEqual([]);
      expect(await overflow(page)).toBeLessThanOrEqual(0);
    });
  }
}

function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
