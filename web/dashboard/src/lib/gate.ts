import { type External, isToken, knock, type Reason, readToken, ThorClient } from "@thor/client";
import { browserName } from "./browser.ts";
import { clearTab, readTab, writeTab } from "./tab.ts";

/** Whether somebody is in. */
export type GateState =
  | { status: "knocking" }
  /** Somebody has to give a token; the trouble is what was wrong with the last one. */
  | { status: "outside"; trouble: string | undefined }
  /** No token helps: the server serves its own machine alone. */
  | { status: "locked"; why: string }
  /** With a token, or as the local operator. The visit counts those who came in. */
  | { status: "inside"; client: ThorClient; signedIn: boolean; visit: number };

const notToken =
  "This is not a token. A token has three parts with dots between, of letters, digits, - and _; copy all of it.";

/**
 * Gate is who is at the page. Everybody who comes in gets a client of their own,
 * so nothing of one is left for the next. The token is kept for this tab, and
 * goes to nobody but the client.
 */
export class Gate implements External<GateState> {
  #state: GateState = { status: "knocking" };
  #token = readTab("token");
  #tries = 0; // an answer to an earlier try does not count
  readonly #listeners = new Set<() => void>();

  readonly getSnapshot = (): GateState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Comes in with the token this tab has, or without. */
  async knock(): Promise<void> {
    const attempt = ++this.#tries;
    const token = this.#token;
    const { features, refused } = await knock(token);
    if (attempt !== this.#tries) return;
    if (refused !== undefined) this.#turnAway(token, refused);
    else this.#letIn(new ThorClient({ name: browserName(), features, ...this.#credentials() }));
  }

  /** Comes in with what somebody has entered. The result is what was wrong with it. */
  async enter(text: string): Promise<string | undefined> {
    const token = text.trim().replace(/^Bearer\s+/i, "");
    if (token === "") return "Enter a token.";
    if (!isToken(token)) return notToken;
    const before = this.#token;
    const inside = this.#state.status === "inside" ? this.#state.client : undefined;
    if (inside !== undefined && before !== undefined && samePerson(before, token)) return this.#renew(inside, token);
    const attempt = ++this.#tries;
    const { features, refused } = await knock(token);
    if (attempt !== this.#tries) return undefined;
    if (refused !== undefined) return refused || "The server refused this token.";
    this.#forget();
    this.#keep(token);
    this.#letIn(new ThorClient({ name: browserName(), features, ...this.#credentials() }));
    return undefined;
  }

  /** Signs out. */
  leave(): void {
    this.#tries++;
    this.#forget();
    this.#set({ status: "outside", trouble: undefined });
  }

  /** A newer token of the same person: the connection stays. */
  async #renew(client: ThorClient, token: string): Promise<string | undefined> {
    const { refused } = await knock(token);
    if (refused !== undefined) return refused || "The server refused this token.";
    this.#keep(token);
    await client.renewToken();
    return undefined;
  }

  #credentials(): { token?: () => string | undefined } {
    return this.#token === undefined ? {} : { token: () => this.#token };
  }

  #letIn(client: ThorClient): void {
    this.#set({ status: "inside", client, signedIn: this.#token !== undefined, visit: this.#tries });
    client.access.subscribe(() => {
      const access = client.access.getSnapshot();
      const still = this.#state.status === "inside" && this.#state.client === client;
      if (still && access.status === "refused") this.#expel(access.reason);
    });
  }

  #expel(reason: Reason): void {
    const had = this.#token;
    this.#turnAway(had, reason.code === "token_expired" ? "Your token has expired." : (reason.detail ?? ""));
  }

  #turnAway(token: string | undefined, why: string): void {
    this.#forget();
    if (/^no key is configured/i.test(why)) this.#set({ status: "locked", why });
    else
      this.#set({
        status: "outside",
        trouble: token === undefined ? undefined : why || "The server refused the token.",
      });
  }

  #keep(token: string): void {
    this.#token = token;
    writeTab("token", token);
  }

  #forget(): void {
    this.#token = undefined;
    clearTab();
  }

  #set(state: GateState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener();
  }
}

function samePerson(before: string, after: string): boolean {
  const subject = readToken(after)?.subject;
  return subject !== undefined && subject === readToken(before)?.subject;
}
