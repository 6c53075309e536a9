import { expect, type Page } from "@playwright/test";
import { age, dataSource, equity, panel, test } from "../fixtures.ts";
import { Server } from "../server.ts";

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
  const markets = panel(page, "Global market").getByRole("listitem");
  await expect(markets).toHaveCount(11);
  await expect(markets.first()).toContainText("Tokyo"); // east to west
  await expect(markets.last()).toContainText("GLOBEX");
  const before = await equity(page).textContent();
  await expect(equity(page)).not.toHaveText(before ?? "");
  const total = panel(page, "Positions").getByRole("row", { name: /^Total/ });
  const totals = await total.textContent();
  await expect(total).not.toHaveText(totals ?? "");
  const figure = panel(page, "Intraday").getByRole("figure");
  await expect(figure).toHaveAccessibleName(/^Candles of BTC\/USD, \d+ minutes/);
  const name = (await figure.getAttribute("aria-label")) ?? "";
  await expect(figure).not.toHaveAccessibleName(name);
  await expect.poll(() => colours(page)).toEqual({ up: true, down: true });
  for (const title of ["Account balance", "Positions"]) {
    await expect.poll(() => age(page, title)).toBeLessThan(2);
  }

  expect(record.lines.some((line) => /^\[WS\] account_balance: \{"account_id":"PAPER-\d".*\}$/.test(line))).toBe(true);
  expect(record.lines.filter((line) => line.startsWith("[WS] intraday_bar:")).length).toBeLessThan(300);
  expect(record.errors).toEqual([]);
});

test("a market opens on the page when it opens", async ({ page }) => {
  const opening = Date.parse("2026-11-23T14:30:00Z");
  const server = await Server.start("--sim-start", new Date(opening - 12_000).toISOString());
  try {
    for (let step = 0; step < 2; step++) await server.promote("global_market");
    await page.goto(server.url);
    await expect(dataSource(page, "Global market")).toHaveText("WebSocket");
    await expect(panel(page, "Global market").getByText("VIRTUAL TIME")).toBeVisible();
    const market = panel(page, "Global market").getByRole("listitem").filter({ hasText: "New York" });
    await expect(market).toContainText(/Pre-open.*Opens in 0:0\d/);
    await expect(market).toContainText(/09:30:0\dOpen/, { timeout: 15_000 });
  } finally {
    await server.remove();
  }
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

/** Whether candles of both colours are painted on the chart's canvases. */
function colours(page: Page): Promise<{ up: boolean; down: boolean }> {
  return page.evaluate(() => {
    const seen = new Set<string>();
    for (const canvas of document.querySelectorAll<HTMLCanvasElement>(".chart canvas")) {
      const pixels = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      for (let i = 0; i < pixels.length; i += 4) seen.add(`rgb(${pixels[i]}, ${pixels[i + 1]}, ${pixels[i + 2]})`);
    }
    const probe = document.body.appendChild(document.createElement("span"));
    const painted = (name: string): boolean => {
      probe.style.color = `var(${name})`;
      return seen.has(getComputedStyle(probe).color);
    };
    const both = { up: painted("--up"), down: painted("--down") };
    probe.remove();
    return both;
  });
}
