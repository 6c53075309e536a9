import { expect } from "@playwright/test";
import { faults } from "../axe.ts";
import { age, dataSource, equity, panel, test } from "../fixtures.ts";

test("the page outlives a server that is killed and started again", async ({ page, server, record }) => {
  const answers: string[] = [];
  page.on("websocket", (socket) =>
    socket.on("framereceived", ({ payload }) => {
      if (String(payload).startsWith('{"type":"subscribed"')) answers.push(String(payload));
    }),
  );
  await page.goto(server.url);
  await expect(page.getByText("Connected", { exact: true })).toBeVisible();
  await expect(dataSource(page, "Account balance")).toHaveText("REST (Shadow)");
  const before = await equity(page).textContent();

  await server.kill();
  await expect(page.getByText(/^Reconnecting/)).toBeVisible();
  await expect(page.getByText("The server cannot be reached.")).toBeVisible();
  await expect(panel(page, "Account balance").getByText("Stale")).toBeVisible();
  expect(await equity(page).textContent()).not.toBe("—");
  const first = await age(page, "Account balance");
  await page.waitForTimeout(3000);
  const grown = (await age(page, "Account balance")) - first;
  expect(grown).toBeGreaterThan(1);
  expect(grown).toBeLessThan(6);
  await page.screenshot({ path: "shots/unreachable.png", fullPage: true });
  expect(await faults(page)).toEqual([]);

  await server.run();
  await expect(page.getByText("Connected", { exact: true })).toBeVisible({ timeout: 20_000 });
  await expect(page.getByText("The server cannot be reached.")).toHaveCount(0);
  await expect(dataSource(page, "Account balance")).toHaveText("REST (Shadow)");
  await expect(panel(page, "Account balance").getByText("Stale")).toHaveCount(0);
  await expect(equity(page)).not.toHaveText(before ?? "");
  // Nothing was lost and nothing sent twice: the streams were resumed.
  const stream = "account_balance:PAPER-1";
  const { streams } = JSON.parse(answers.findLast((text) => text.includes(stream)) ?? "").data;
  expect(streams[stream]).toMatchObject({ recovered: true });
  // What a browser itself prints of refused connections is none of ours.
  const ours = record.errors.filter((line) => !/ERR_|WebSocket connection to/.test(line));
  expect(ours).toEqual([]);
});
