import type { Environment } from "./environment.ts";
import type { Feature } from "./features.ts";
import type { TokenSource } from "./token.ts";

/** What a client can be told. Every field has a default. */
export interface ClientOptions {
  /**
   * The name the client gives itself; it decides about canary, so keep it. The
   * default is a random one for each client.
   */
  name?: string;
  /**
   * Where the server has a key: a token, or a function that gives one and is
   * asked again when it is about to expire. It goes into a header and into a
   * message, never into a URL. A client is one person's; for another make
   * another.
   */
  token?: TokenSource;
  /** Where the server is; the default is where the page came from. */
  baseUrl?: string;
  /** Whether frames of features in shadow are printed to the console; the default is yes. */
  shadowLog?: boolean;
  /** The features to follow; the default is those this package was generated with. */
  features?: readonly Feature[];
  /** Parts of the world to replace: sockets, fetch, time, chance, frames. */
  environment?: Partial<Environment>;
}
