import { expect } from "@playwright/test";
import { dataSource, equity, panel, test } from "../fixtures.ts";

test("all four panels fill and move, and what arrives in shadow is in the console", async ({
  page,
  server,
  record,
}) => {
  await page.goto(server.url);
  await expect(page.getByText("Connected", { exact: true })).toBeVisible();
  await expect(page.getByText("SIMULATED").first()).toBeVisible();

  for (const title of ["Account balance", "Positions", "Intraday", "Global market"]) {
    await expect(dataSource(page, title)).toHaveText("REST (Shadow)");
    await expect(panel(page, title).getByText("Stale")).toHaveCount(0);
  }
  for (const title of ["Account balance", "Positions", "Intraday"]) {
    await expect(panel(page, title).getByText("SIMULATED")).toBeVisible();
  }
  await expect(panel(page, "Global market").getByText("SIMULATED")).toHaveCount(0); // the calendar is real
  const before = await equity(page).textContent();
  await expect(equity(page)).not.toHaveText(before ?? "");
  const total = panel(page, "Positions").getByRole("row", { name: /^Total/ });
  const totals = await total.textContent();
  await expect(total).not.toHaveText(totals ?? "");
  const figure = panel(page, "Intraday").getByRole("figure");
  await expect(figure).toHaveAccessibleName(/^Candles of BTC\/USD, \d+ minutes/);
  const name = (await figure.getAttribute("aria-label")) ?? "";
  await expect(figure).not.toHaveAccessibleName(name);
  const market = panel(page, "Global market").getByRole("listitem").first();
  const clock = await market.textContent();
  await expect(market).not.toHaveText(clock ?? "");

  expect(record.lines.some((line) => /^\[WS\] account_balance: \{"account_id":"PAPER-\d".*\}$/.test(line))).toBe(true);
  expect(record.lines.filter((line) => line.startsWith("[WS] intraday_bar:")).length).toBeLessThan(300);
  expect(record.errors).toEqual([]);
});

test("an account, a symbol and a theme stay chosen over a reload", async ({ page, server }) => {
  await page.goto(server.url);
  await page.getByRole("combobox", { name: "Account" }).selectOption("PAPER-2");
  await page.getByRole("radio", { name: "/ES" }).check({ force: true });
  await page.getByRole("radio", { name: "Dark" }).check({ force: true });
  await page.reload();
  await expect(page.getByRole("combobox", { name: "Account" })).toHaveValue("PAPER-2");
  await expect(page.getByRole("radio", { name: "/ES" })).toBeChecked();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await expect(panel(page, "Account balance").getByText("Day-trading")).toHaveCount(0); // a cash account has none
  await expect(panel(page, "Intraday").getByRole("figure")).toHaveAccessibleName(/^Candles of \/ES/);
});
