import react from "@vitejs/plugin-react";
import { defaultClientConditions } from "vite";
import { defineConfig } from "vitest/config";

const server = process.env.THOR_URL ?? "http://localhost:8000";

export default defineConfig({
  plugins: [react()],
  // Relative: what the document's <base> says decides, so the server may be mounted below a path.
  base: "./",
  // The packages beside this one are built from their sources.
  resolve: { conditions: ["@thor/source", ...defaultClientConditions] },
  server: { proxy: { "/api": server, "/ws": { target: server.replace(/^http/, "ws"), ws: true } } },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "baseline-widely-available",
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules\/(react|react-dom|scheduler)\// },
            { name: "charts", test: /node_modules\/(lightweight-charts|fancy-canvas)\// },
          ],
        },
      },
    },
  },
});
