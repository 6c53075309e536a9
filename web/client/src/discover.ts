import { defaultEnvironment, type Environment } from "./environment.ts";
import type { Feature } from "./features.ts";
import { features as generated } from "./generated.ts";
import { problemOf } from "./problem.ts";

/** What /api/features says of a feature. */
interface Description {
  feature: string;
  about: Omit<Feature, "name" | "cadenceMs"> & { cadence_ms: number };
}

/** What a server answers that is asked for its features. */
export interface Welcome {
  /** Those the package knows, when the server did not say. */
  features: readonly Feature[];
  /** The server does not let in who has this token, or has none; it says why. */
  refused?: string;
}

type World = Pick<Environment, "baseUrl" | "fetch" | "after">;

/** A server that takes longer is not waited for, in ms. */
const timeout = 2000;

/**
 * Asks the server whether it lets in who has this token, and for its features,
 * among which may be some this package was built without.
 */
export async function knock(token?: string, environment: World = defaultEnvironment()): Promise<Welcome> {
  const request = new AbortController();
  const cancel = environment.after(timeout, () => request.abort());
  try {
    const url = new URL("api/features", environment.baseUrl).href;
    const headers: HeadersInit = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const response = await environment.fetch(url, { headers, cache: "no-store", signal: request.signal });
    if (response.status === 401 || response.status === 429)
      return { features: generated, refused: await problemOf(response) };
    if (!response.ok) return { features: generated };
    const { features } = (await response.json()) as { features: readonly Description[] };
    return {
      features: features.map(({ feature, about: { cadence_ms, ...rest } }) => ({
        ...rest,
        name: feature,
        cadenceMs: cadence_ms,
      })),
    };
  } catch {
    return { features: generated };
  } finally {
    cancel();
  }
}
