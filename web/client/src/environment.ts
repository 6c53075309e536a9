/** What a socket tells. Nothing is told after close. */
export interface SocketHandlers {
  /** It stands: what is sent from now on goes out. */
  open(): void;
  message(text: string): void;
  close(code: number, reason: string): void;
}

/** An open or opening WebSocket. */
export interface Socket {
  send(text: string): void;
  close(code: number, reason: string): void;
}

export type OpenSocket = (url: string, handlers: SocketHandlers) => Socket;

/** Whether anybody looks at the page, and whether there is a network. */
export interface Page {
  hidden(): boolean;
  online(): boolean;
  /** Calls the listener when the page is seen or hidden, or the network is back. */
  watch(listener: () => void): () => void;
}

/** The world the client lives in. Tests and other runtimes bring their own parts of it. */
export interface Environment {
  /** Undefined is a runtime without WebSocket: everything falls back to REST. */
  openSocket: OpenSocket | undefined;
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Where the server is mounted; it ends with a slash. */
  baseUrl: string;
  /** The wall clock in ms. */
  now(): number;
  /** Runs a function later; the result takes it back. */
  after(ms: number, run: () => void): () => void;
  /** A number from 0 to 1. */
  random(): number;
  nextFrame(run: () => void): void;
  page: Page;
  print(line: string): void;
}

/** Subprotocol, and so version, of the wire. */
const protocol = "thor.v1";

/** Opens sockets with a WebSocket class, for runtimes that bring their own. */
export function socketsOf(Class: typeof WebSocket): OpenSocket {
  return (url, handlers) => {
    const socket = new Class(url, protocol);
    socket.addEventListener("open", () => handlers.open());
    socket.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (typeof event.data === "string") handlers.message(event.data);
    });
    socket.addEventListener("close", (event) => handlers.close(event.code, event.reason));
    return socket;
  };
}

/** The environment of a browser, or as much of it as there is. It touches nothing before it is used. */
export function defaultEnvironment(): Environment {
  return {
    openSocket: typeof WebSocket === "undefined" ? undefined : socketsOf(WebSocket),
    fetch: (url, init) => globalThis.fetch(url, init),
    baseUrl: typeof document === "undefined" ? "http://localhost:8000/" : new URL(".", document.baseURI).href,
    now: () => Date.now(),
    after: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
    nextFrame: (run) => {
      if (typeof requestAnimationFrame === "undefined") setTimeout(run, 0);
      else requestAnimationFrame(run);
    },
    page: browserPage,
    print: (line) => console.log(line),
  };
}

const browserPage: Page = {
  hidden: () => typeof document !== "undefined" && document.hidden,
  online: () => typeof navigator === "undefined" || navigator.onLine !== false,
  watch: (listener) => {
    if (typeof document === "undefined") return () => {};
    document.addEventListener("visibilitychange", listener);
    window.addEventListener("online", listener);
    return () => {
      document.removeEventListener("visibilitychange", listener);
      window.removeEventListener("online", listener);
    };
  },
};
