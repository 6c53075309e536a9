import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server as HttpServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { binary } from "./server.ts";

/** Answers in the backend's place; pass lets it answer itself. */
type Fault = (req: IncomingMessage, res: ServerResponse, pass: () => void) => void;

const json = { "Content-Type": "application/json" };

/** What a backend can do wrong. */
export const faults = {
  "an error of its own": (_, res) => res.writeHead(503, json).end('{"detail":"down for maintenance"}'),
  "a web page": (_, res) =>
    res.writeHead(200, { "Content-Type": "text/html" }).end("<html><title>Welcome to nginx!</title></html>"),
  "half an answer": (_, res) => {
    res.writeHead(200, { ...json, "Content-Length": "4000" });
    res.write('{"account_id":"PAPER-1","net_liquidation":0,"cash":0,');
    setTimeout(() => res.destroy(), 50);
  },
  "a field of another name": (_, res) =>
    res.writeHead(200, json).end('{"account_id":"PAPER-1","netLiquidation":"0.00","cash":"0.00","equity":"0.00"}'),
  "too often": (_, res) => res.writeHead(429, { ...json, "Retry-After": "6" }).end('{"detail":"throttled"}'),
  "no answer at all": () => {},
  "a login that has expired": (_, res) =>
    res.writeHead(401, json).end('{"detail":"Given token not valid for any token type","code":"token_not_valid"}'),
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

/** The double of a backend that comes with thor, behind a proxy that does to it what a test wants. */
export class Backend {
  /** What it does wrong; undefined is nothing. The list of accounts is right but for the login. */
  fault: FaultName | undefined;
  readonly #double: ChildProcess;
  readonly #proxy: HttpServer;

  private constructor(double: ChildProcess, target: number) {
    this.#double = double;
    this.#proxy = createServer((req, res) => this.#serve(req, res, target));
  }

  static async start(...flags: string[]): Promise<Backend> {
    // A Wednesday on which New York trades, whatever day it is.
    const args = ["--addr", "127.0.0.1:0", "--bugs", "none", "--sim-start", "2026-11-18T15:00:05Z", ...flags];
    const double = spawn(binary, ["sim", "backend", ...args], { stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: double.stdout })) {
      const url = /^REST (\S+)/.exec(line)?.[1];
      if (url === undefined) continue;
      const backend = new Backend(double, Number(new URL(url).port));
      backend.#proxy.listen(0, "127.0.0.1");
      await once(backend.#proxy, "listening");
      return backend;
    }
    throw new Error("the double does not start");
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#proxy.address() as AddressInfo).port}`;
  }

  /** The flags with which a server reads it. */
  get flags(): string[] {
    const login = ["--upstream-user", "trader@example.com", "--upstream-password", "simulated"];
    return ["--upstream", this.url, ...login];
  }

  stop(): void {
    this.#proxy.closeAllConnections();
    this.#proxy.close();
    this.#double.kill("SIGKILL");
  }

  #serve(req: IncomingMessage, res: ServerResponse, port: number): void {
    const pass = (): void => {
      const { method, url: path, headers } = req;
      const onward = request({ host: "127.0.0.1", port, method, path, headers }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
      });
      onward.on("error", () => res.destroy());
      req.pipe(onward);
    };
    const about = this.fault;
    const everything = about === "a login that has expired" || about === "an error of its own";
    if (about === undefined || (!everything && !req.url?.includes("balance"))) pass();
    else (faults[about] as Fault)(req, res, pass);
  }
}
