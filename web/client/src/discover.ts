import { defaultEnvironment, type Environment } from "./environment.ts";
import type { Feature } from "./features.ts";
import { features as generated } from "./generated.ts";

/** What /api/features says of a feature. */
interface Description {
  feature: string;
  about: Omit<Feature, "name" | "cadenceMs"> & { cadence_ms: number };
}

/** A server that takes longer is not waited for, in ms. */
const timeout = 2000;

/**
 * Asks the server for its features, among which may be some this package was
 * built without. When it does not answer, they are those the package knows.
 */
export async function fetchFeatures(
  environment: Pick<Environment, "baseUrl" | "fetch" | "after"> = defaultEnvironment(),
): Promise<readonly Feature[]> {
  const request = new AbortController();
  const cancel = environment.after(timeout, () => request.abort());
  try {
    const url = new URL("api/features", environment.baseUrl).href;
    const response = await environment.fetch(url, { cache: "no-store", signal: request.signal });
    if (!response.ok) return generated;
    const { features } = (await response.json()) as { features: readonly Description[] };
    return features.map(({ feature, about: { cadence_ms, ...rest } }) => ({
      ...rest,
      name: feature,
      cadenceMs: cadence_ms,
    }));
  } catch {
    return generated;
  } finally {
    cancel();
  }
}
