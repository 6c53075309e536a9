import { defineConfig } from "vitest/config";

const resolve = { conditions: ["@thor/source"] };
const project = (name: string, environment: string, setupFiles: string[] = []) => ({
  resolve,
  ssr: { resolve },
  test: { name, root: name, environment, include: ["src/**/*.test.{ts,tsx}"], restoreMocks: true, setupFiles },
});

export default defineConfig({
  test: { projects: [project("client", "node"), project("react", "jsdom"), project("dashboard", "jsdom")] },
});
