// How old data is when a browser shows it: from the commit on the server to the
// next frame the browser paints, with the page open and running. Server and
// browser share a clock, so this is for one machine.
//
//   node figures.mjs SECONDS
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "@playwright/test";

const seconds = Number(process.argv[2] ?? 60);
/** The page takes in the session's minutes of every symbol first, and events queue behind them. */
const loading = 5;
const data = await mkdtemp(join(tmpdir(), "thor-figures-"));
const args = ["serve", "--addr", "127.0.0.1:0", "--data", data];
const server = spawn(resolve(process.env.THOR_BIN ?? "../../bin/thor"), args, { stdio: ["ignore", "pipe", "inherit"] });
const url = await new Promise((found) => {
  createInterface({ input: server.stdout }).on("line", (line) => {
    const page = /^page (\S+)/.exec(line)?.[1];
    if (page !== undefined) found(page);
  });
});

/** Runs in the page before anything else: notes the age of every event when it is painted. */
function watch() {
  globalThis.ages = [];
  globalThis.WebSocket = class extends WebSocket {
    constructor(...parts) {
      super(...parts);
      this.addEventListener("message", ({ data: text }) => {
        const { ts, seq, snapshot } = JSON.parse(text);
        if (seq === undefined || snapshot) return;
        requestAnimationFrame(() => globalThis.ages.push({ at: performance.now(), age: Date.now() - ts }));
      });
    }
  };
}

function report(when, events) {
  const ages = events.map((e) => e.age).sort((a, b) => a - b);
  const at = (q) => ages[Math.floor(q * (ages.length - 1))];
  console.log(`age of data when painted, ${when}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms of ${ages.length} events`);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.addInitScript(watch);
  await page.goto(url);
  await page.waitForTimeout(seconds * 1000);
  const events = await page.evaluate("globalThis.ages");
  report("from the first event on", events);
  report(
    `after ${loading} s of loading`,
    events.filter((e) => e.at > loading * 1000),
  );
} finally {
  await browser.close();
  server.kill();
  await new Promise((ended) => server.once("exit", ended));
  await rm(data, { recursive: true, force: true });
}
