import { expect, type WebSocketRoute } from "@playwright/test";
import { faults } from "../axe.ts";
import { dataSource, equity, test } from "../fixtures.ts";

const feature = "account_balance";
const title = "Account balance";

test("promoted to live the panel renders the WebSocket, rolled back REST within a second", async ({
  page,
  server,
  record,
}) => {
  await page.goto(server.url);
  await expect(dataSource(page, title)).toHaveText("REST (Shadow)");

  await server.promote(feature); // canary, for few
  await expect(dataSource(page, title)).toHaveText(/REST \(Canary\)|WebSocket/);
  await server.promote(feature);
  await expect(dataSource(page, title)).toHaveText("WebSocket");
  await expect(dataSource(page, "Positions")).toHaveText("REST (Shadow)");
  const requests = record.requests.length;
  const before = await equity(page).textContent();
  await expect(equity(page)).not.toHaveText(before ?? "");
  await page.waitForTimeout(3000);
  const polls = record.requests.slice(requests).filter((url) => url.includes("/api/account/balance"));
  expect(polls).toEqual([]);

  await server.rollback(feature);
  await expect(dataSource(page, title)).toHaveText("REST (Shadow)", { timeout: 1000 });
  const after = await equity(page).textContent();
  expect(after).not.toBe("—");
  await expect(equity(page)).not.toHaveText(after ?? "");
  expect(record.errors).toEqual([]);
});

test("without a WebSocket a live feature falls back to REST, and returns with it", async ({ page, server }) => {
  let open = false;
  const routes: WebSocketRoute[] = [];
  await page.routeWebSocket(/\/ws\//, (route) => {
    routes.push(route);
    if (open) route.connectToServer();
    else void route.close({ code: 1011, reason: "closed by the test" });
  });
  await page.goto(server.url);
  await expect(dataSource(page, title)).toHaveText("REST (Shadow)"); // by the header of REST answers alone
  await server.promote(feature);
  await server.promote(feature);
  await expect(dataSource(page, title)).toHaveText("REST (Fallback)");
  await expect(page.getByText(/The WebSocket is down .*Data keeps coming over REST\./)).toBeVisible();
  const before = await equity(page).textContent();
  await expect(equity(page)).not.toHaveText(before ?? "");
  await page.screenshot({ path: "shots/fallback.png", fullPage: true });
  expect(await faults(page)).toEqual([]);

  open = true;
  await expect(dataSource(page, title)).toHaveText("WebSocket", { timeout: 30_000 });
  await expect(page.getByText(/The WebSocket is down/)).toHaveCount(0);
  expect(routes.length).toBeGreaterThan(1);
});

test("off the panel says REST, and back in shadow it receives again", async ({ page, server, record }) => {
  await page.goto(server.url);
  await expect(dataSource(page, title)).toHaveText("REST (Shadow)");
  await server.rollback(feature, "off");
  await expect(dataSource(page, title)).toHaveText("REST", { timeout: 1000 });
  const before = await equity(page).textContent();
  await expect(equity(page)).not.toHaveText(before ?? "");
  await server.promote(feature);
  await expect(dataSource(page, title)).toHaveText("REST (Shadow)");
  const lines = record.lines.length;
  await expect
    .poll(() => record.lines.slice(lines).filter((line) => line.startsWith("[WS] account_balance:")).length)
    .toBeGreaterThan(2);
  expect(record.errors).toEqual([]);
});

test("a feature that is complete needs no REST, from the first paint on", async ({ page, server, record }) => {
  for (let step = 0; step < 4; step++) await server.promote(feature);
  await page.goto(server.url);
  await expect(dataSource(page, title)).toHaveText("WebSocket");
  const before = await equity(page).textContent();
  await expect(equity(page)).not.toHaveText(before ?? "");
  expect(record.requests.filter((url) => url.includes("/api/account/balance"))).toEqual([]);
  expect(record.errors).toEqual([]);
});

test("forced by the file the page goes back to REST and says so, until it is removed", async ({
  page,
  server,
  record,
}) => {
  await server.promote(feature);
  await server.promote(feature);
  await page.goto(server.url);
  await expect(dataSource(page, title)).toHaveText("WebSocket");
  const banner = page.getByText("account_balance is forced to shadow (stored: live).");
  await expect(banner).toHaveCount(0);
  await server.force("account_balance:shadow # it is wrong\n");
  await expect(dataSource(page, title)).toHaveText("REST (Shadow)", { timeout: 3000 });
  await expect(banner).toBeVisible();
  await page.screenshot({ path: "shots/forced.png", fullPage: true });
  expect(await faults(page)).toEqual([]);
  const before = await equity(page).textContent();
  await expect(equity(page)).not.toHaveText(before ?? "");
  await server.unforce();
  await expect(dataSource(page, title)).toHaveText("WebSocket", { timeout: 3000 });
  await expect(banner).toHaveCount(0);
  expect(record.errors).toEqual([]);
});
