import { test as base, type ConsoleMessage, type Locator, type Page } from "@playwright/test";
import { Server } from "./server.ts";

/** What a page said and asked while a test ran. */
export class Record {
  readonly errors: string[] = [];
  readonly lines: string[] = [];
  readonly requests: string[] = [];

  follow(page: Page): void {
    page.on("pageerror", (error) => this.errors.push(error.message));
    page.on("request", (request) => this.requests.push(request.url()));
    page.on("console", (message: ConsoleMessage) => {
      if (message.type() === "log") this.lines.push(message.text());
      else this.errors.push(`${message.type()}: ${message.text()} ${message.location().url}`);
    });
  }
}

export const test = base.extend<{ server: Server; record: Record }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of the parameters
  server: async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.remove();
  },
  record: async ({ page }, use) => {
    const record = new Record();
    record.follow(page);
    await use(record);
  },
});

/** How old a panel says its data is, in seconds. */
export async function age(page: Page, title: string): Promise<number> {
  const text = (await panel(page, title).locator(".panel-status > :last-child").textContent()) ?? "";
  return Number(/([\d.]+) s$/.exec(text)?.[1] ?? Number.NaN);
}

/** The panel of that title. */
export function panel(page: Page, title: string): Locator {
  return page.getByRole("region", { name: title });
}

/** The label of where a panel's data comes from. */
export function dataSource(page: Page, title: string): Locator {
  return panel(page, title).getByTitle("Data source");
}

/** The equity, as it is shown. */
export function equity(page: Page): Locator {
  return panel(page, "Account balance").locator(".equity .figure");
}
