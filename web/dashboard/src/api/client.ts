import { fetchFeatures, ThorClient } from "@thor/client";
import { readPreference, writePreference } from "../lib/preference.ts";

/** This browser's name, which keeps it in the same arm of a canary for as long as its storage lasts. */
function browserName(): string {
  const kept = readPreference("client");
  if (kept !== undefined) return kept;
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const name = `web-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  writePreference("client", name);
  return name;
}

/** The page's one client, for the features its server has. */
export async function newClient(): Promise<ThorClient> {
  return new ThorClient({ name: browserName(), features: await fetchFeatures() });
}
