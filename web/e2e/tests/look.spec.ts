import { expect, type Page } from "@playwright/test";
import { faults } from "../axe.ts";
import { panel, test } from "../fixtures.ts";

const sizes = {
  desktop: { width: 1440, height: 900 },
  tablet: { width: 700, height: 1000 },
  phone: { width: 390, height: 844 },
};

for (const scheme of ["dark", "light"] as const) {
  for (const [device, viewport] of Object.entries(sizes)) {
    test(`${scheme} on a ${device}: readable, within the screen, from this server alone`, async ({
      page,
      server,
      record,
    }) => {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(server.url);
      await expect(panel(page, "Positions").getByRole("row")).not.toHaveCount(0);
      await expect(panel(page, "Intraday").getByRole("figure")).toBeVisible();
      await page.waitForTimeout(1500); // for the chart to paint
      await page.screenshot({ path: `shots/${device}-${scheme}.png`, fullPage: true });

      expect(await overflow(page), "pixels beyond the right edge").toBeLessThanOrEqual(0);
      expect(await faults(page)).toEqual([]);
      expect(record.errors).toEqual([]);
      const elsewhere = record.requests.filter((url) => new URL(url).host !== new URL(server.url).host);
      expect(elsewhere).toEqual([]);
    });
  }
}

test("the notices are there to read", async ({ page, server }) => {
  await page.goto(server.url);
  await page.getByRole("button", { name: "About and notices" }).click();
  await expect(page.getByRole("dialog")).toContainText("TradingView Lightweight Charts™");
  expect(await faults(page)).toEqual([]);
});

function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
