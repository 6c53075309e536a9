import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "@playwright/test";
import { panel, test } from "../fixtures.ts";
import { record, Server } from "../server.ts";

test("a replay is told wherever its data is, with its day, its time and its end", async ({ page }) => {
  const folder = await mkdtemp(join(tmpdir(), "thor-recording-"));
  const file = join(folder, "day.thor");
  record(file, "2026-11-23T15:00:00Z", "4m");
  const slow = await Server.start("--replay", file, "--speed", "10");
  const over = await Server.start("--replay", file, "--speed", "3600");
  try {
    await page.goto(slow.url);
    const banner = page.getByText("REPLAY of sim, 2026-11-23");
    await expect(banner).toBeVisible();
    await expect(page.getByText(/15:0\d:\d\d.* · 10×/)).toBeVisible();
    for (const title of ["Account balance", "Positions", "Intraday"]) {
      await expect(panel(page, title).getByText("REPLAY")).toBeVisible();
      await expect(panel(page, title).getByText("SIMULATED")).toBeVisible();
    }
    await expect(panel(page, "Global market").getByText("VIRTUAL TIME")).toBeVisible();
    await expect(page.getByRole("combobox", { name: "Account" })).toHaveValue(/^ACCT-[0-9a-f]{16}$/, {
      timeout: 25_000, // the first answer of the simulator takes a while, and so does its replay
    });

    const status = async (): Promise<unknown> => (await page.request.get(`${over.url}/api/status`)).json();
    await expect.poll(status).toMatchObject({ source: { replay: { over: true } } });
    await page.goto(over.url);
    await expect(banner).toContainText("· over");
    await expect(page.getByText(/15:04:\d\d.* · stands/)).toBeVisible();
    await expect(panel(page, "Account balance").getByText("Stale")).toBeVisible();
  } finally {
    await slow.remove();
    await over.remove();
    await rm(folder, { recursive: true, force: true });
  }
});
