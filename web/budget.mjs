// Fails when the page weighs more than it may, gzipped. A larger budget is a decision: change it here.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const budgets = { index: 30_000, react: 72_000, charts: 58_000, css: 5_000 };

let over = false;
const assets = new URL("dist/assets/", import.meta.url);
for (const file of readdirSync(assets).sort()) {
  const part = file.endsWith(".css") ? "css" : file.split("-")[0];
  const size = gzipSync(readFileSync(new URL(file, assets)), { level: 9 }).length;
  const budget = budgets[part];
  const verdict = budget === undefined ? "has no budget" : size > budget ? "is over budget" : "fits";
  over ||= verdict !== "fits";
  console.log(`${part.padEnd(8)}${String(size).padStart(7)} of ${budget} bytes gzipped: ${verdict}`);
}
process.exitCode = over ? 1 : 0;
