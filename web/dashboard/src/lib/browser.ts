import { readPreference, writePreference } from "./preference.ts";

/** This browser's name, which keeps it in the same arm of a canary for as long as its storage lasts. */
export function browserName(): string {
  const kept = readPreference("client");
  if (kept !== undefined) return kept;
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const name = `web-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  writePreference("client", name);
  return name;
}
