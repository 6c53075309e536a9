// Checks what the libraries publish: that every entry exists, and that its types resolve as they should.
import { spawnSync } from "node:child_process";

const checks = [
  ["publint", "--strict"],
  ["attw", "--pack", ".", "--profile", "esm-only", "--format", "ascii", "--quiet"],
];

for (const library of ["client", "react"]) {
  for (const [tool, ...args] of checks) {
    const { status } = spawnSync("npx", ["--no", "--", tool, ...args], {
      cwd: new URL(library, import.meta.url),
      stdio: "inherit",
    });
    if (status !== 0) process.exitCode = 1;
  }
}
