/** Why there is no connection. The codes are stable; the texts are for people. */
export type ReasonCode = keyof typeof texts;

export interface Reason {
  code: ReasonCode;
  text: string;
  /** What the server said itself, where it did. */
  detail?: string;
}

const texts = {
  done: "the server ended the connection",
  restarting: "the server is restarting",
  lost: "the connection was lost",
  unreachable: "the server cannot be reached",
  offline: "this device is offline",
  silent: "the server fell silent",
  protocol_error: "the server and this page do not understand each other",
  server_error: "the server had an internal error",
  overloaded: "the server cannot take a connection now",
  bad_request: "the server refused what this page asked for",
  unauthorized: "the server wants a token",
  token_expired: "the token has expired",
  token_refused: "the server refused the token",
  token_unavailable: "no token could be got",
  other_subject: "the new token is somebody else's",
  forbidden: "access was refused",
  unsupported_version: "this page is of another version; reload it",
  timeout: "the connection timed out",
  replaced: "opened elsewhere: a newer connection took the place of this one",
  too_many: "too many connections or requests",
  channel_lost: "the server lost its channel layer",
  stalled: "this page could not keep up",
  no_websocket: "this browser has no WebSocket",
} as const;

export function reasonOf(code: ReasonCode, detail = ""): Reason {
  return detail === "" ? { code, text: texts[code] } : { code, text: texts[code], detail };
}
