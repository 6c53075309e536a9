import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const binary = resolve(process.env.THOR_BIN ?? "../../bin/thor");

/** The key of servers that have one. */
const key = "a key for tests, of more than 32 characters";

/** Makes a token as people do. */
export function tokenFor(sub: string, ...flags: string[]): string {
  const args = ["token", "create", "--auth-key", key, "--sub", sub, ...flags];
  return execFileSync(binary, args, { encoding: "utf8" }).trim();
}

/** Records the simulator from a time on for so long, at a minute a second. */
export function record(file: string, start: string, lasts: string): void {
  execFileSync(binary, ["record", file, "--sim-start", start, "--sim-speed", "60", "--for", lasts], {
    stdio: "ignore",
  });
}

/** The real server, on a free port and with a data directory of its own. It can be killed and started again. */
export class Server {
  readonly url: string;
  readonly #address: string;
  readonly #data: string;
  readonly #flags: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, data: string, flags: readonly string[]) {
    this.#address = `localhost:${port}`;
    this.url = `http://${this.#address}`;
    this.#data = data;
    this.#flags = flags;
  }

  /** One that wants tokens. */
  static guarded(...flags: string[]): Promise<Server> {
    return Server.start("--auth-key", key, ...flags);
  }

  static async start(...flags: string[]): Promise<Server> {
    const data = await mkdtemp(join(tmpdir(), "thor-e2e-"));
    const server = new Server(await freePort(), data, flags);
    await server.run();
    return server;
  }

  /** One that need not be ready: its source may be away. */
  static async waiting(...flags: string[]): Promise<Server> {
    const data = await mkdtemp(join(tmpdir(), "thor-e2e-"));
    const server = new Server(await freePort(), data, flags);
    await server.run("/healthz");
    return server;
  }

  /** Starts it, again on the same port and data, and waits until it answers. */
  async run(path = "/readyz"): Promise<void> {
    const args = ["serve", "--addr", this.#address, "--data", this.#data, "--log-level", "warn", ...this.#flags];
    this.#process = spawn(binary, args, { stdio: ["ignore", "ignore", "inherit"] });
    for (let tries = 0; tries < 800; tries++) {
      if (this.#process.exitCode !== null) throw new Error(`thor ended with ${this.#process.exitCode}`);
      if (await this.#ok(path)) return;
      await sleep(50);
    }
    throw new Error("thor does not answer");
  }

  /** Ends it without a chance to say goodbye. */
  async kill(): Promise<void> {
    const running = this.#process;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#data, { recursive: true, force: true });
  }

  /** Moves a feature one stage forward. */
  async promote(feature: string, weight?: number): Promise<void> {
    const { rev } = await this.#json<{ rev: number }>("GET", `/api/features/${feature}`);
    const body = weight === undefined ? { reason: "test" } : { reason: "test", weight };
    await this.#json("POST", `/api/features/${feature}/promote`, { "If-Match": `"${rev}"` }, body);
  }

  /** Moves a feature back; the default is to shadow. */
  async rollback(feature: string, to?: string): Promise<void> {
    const body = to === undefined ? { reason: "test" } : { reason: "test", to };
    await this.#json("POST", `/api/features/${feature}/rollback`, {}, body);
  }

  /** Breaks the glass: writes the file force. */
  async force(text: string): Promise<void> {
    await writeFile(join(this.#data, "force"), text);
  }

  /** Takes the file force away. */
  async unforce(): Promise<void> {
    await rm(join(this.#data, "force"));
  }

  #ok(path: string): Promise<boolean> {
    return fetch(this.url + path).then(
      (answer) => answer.ok || answer.status === 410, // retired
      () => false,
    );
  }

  async #json<T>(method: string, path: string, headers: Record<string, string> = {}, body?: object): Promise<T> {
    const init: RequestInit = { method, headers: { "Content-Type": "application/json", ...headers } };
    if (body !== undefined) init.body = JSON.stringify(body);
    const answer = await fetch(this.url + path, init);
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "localhost");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
