import { vi } from "vitest";
import type { Environment, SocketHandlers } from "../environment.ts";

/** A socket the test holds the other end of. */
export class FakeSocket {
  readonly sent: {
    type: string;
    id: string;
    streams: string[];
    resume: Record<string, unknown>;
    client: string;
    token?: string;
  }[] = [];
  closed: { code: number; reason: string } | undefined;
  readonly url: string;
  readonly #handlers: SocketHandlers;

  constructor(url: string, handlers: SocketHandlers) {
    this.url = url;
    this.#handlers = handlers;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(code: number, reason: string): void {
    this.closed = { code, reason };
  }

  /** The handshake is done. */
  open(): void {
    this.#handlers.open();
  }

  /** The server says something. */
  say(...messages: object[]): void {
    for (const message of messages) this.#handlers.message(JSON.stringify(message));
  }

  /** The server, or the way to it, ends the connection. */
  end(code: number, reason = ""): void {
    this.#handlers.close(code, reason);
  }
}

/** The world as the test wants it. Time is vitest's: use fake timers. */
export class World {
  readonly sockets: FakeSocket[] = [];
  readonly requests: {
    path: string;
    tag: string | undefined;
    client: string | undefined;
    token: string | undefined;
    cache: RequestCache | undefined;
  }[] = [];
  readonly printed: string[] = [];
  hidden = false;
  online = true;
  random = 0.5;
  /** Answers a request; the default is that there is no server. */
  answer: (path: string, tag: string | undefined, token: string | undefined) => Response | Promise<Response> = () =>
    Promise.reject(new Error());
  #watchers: (() => void)[] = [];

  readonly environment: Environment = {
    openSocket: (url, handlers) => {
      const socket = new FakeSocket(url, handlers);
      this.sockets.push(socket);
      return socket;
    },
    fetch: async (url, init) => {
      const headers = new Headers(init.headers);
      const path = url.replace("http://thor/", "/");
      const tag = headers.get("If-None-Match") ?? undefined;
      this.requests.push({
        path,
        tag,
        client: headers.get("Thor-Client") ?? undefined,
        token: headers.get("Authorization")?.replace("Bearer ", ""),
        cache: init.cache,
      });
      return this.answer(path, tag, headers.get("Authorization")?.replace("Bearer ", ""));
    },
    baseUrl: "http://thor/",
    now: () => Date.now(),
    after: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    random: () => this.random,
    nextFrame: (run) => queueMicrotask(run),
    page: {
      hidden: () => this.hidden,
      online: () => this.online,
      watch: (listener) => {
        this.#watchers.push(listener);
        return () => {
          this.#watchers = this.#watchers.filter((w) => w !== listener);
        };
      },
    },
    print: (line) => this.printed.push(line),
  };

  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (last === undefined) throw new Error("no socket was opened");
    return last;
  }

  /** The page is hidden or seen. */
  show(visible: boolean): void {
    this.hidden = !visible;
    for (const watcher of this.#watchers) watcher();
  }

  /** How often a path was asked for. */
  asked(prefix: string): number {
    return this.requests.filter(({ path }) => path.startsWith(prefix)).length;
  }
}

/** Lets time pass, with everything that hangs on it. */
export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}
