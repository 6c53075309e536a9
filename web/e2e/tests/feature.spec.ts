import { expect } from "@playwright/test";
import { dataSource, panel, test } from "../fixtures.ts";

test("a feature the page was built without has a panel", async ({ page, server, record }) => {
  // A server that has it is tested elsewhere; here it is put into this one's answers.
  const about = {
    type: "orders",
    path: "/api/orders",
    param: "account_id",
    list: "",
    key: "account_id",
    window: 0,
    cadence_ms: 1000,
    private: true,
  };
  await page.route("**/api/features", async (route) => {
    const response = await route.fetch();
    const { features } = await response.json();
    await route.fulfill({ json: { features: [...features, { feature: "orders", stage: "shadow", about }] } });
  });
  let limit = 270;
  await page.route("**/api/orders?account_id=PAPER-1", (route) =>
    route.fulfill({
      json: { account_id: "PAPER-1", limit: ++limit, timestamp: new Date().toISOString() },
      headers: { ETag: `"orders:PAPER-1:test-${limit}"`, Age: "0", Cutover: "stage=shadow, data_source=rest, rev=1" },
    }),
  );
  await page.goto(server.url);
  await expect(dataSource(page, "Orders")).toHaveText("REST (Shadow)");
  const before = await panel(page, "Orders").textContent();
  await expect(panel(page, "Orders")).not.toHaveText(before ?? "");
  await expect(panel(page, "Account balance")).toBeVisible();
  expect(record.errors).toEqual([]);
});
