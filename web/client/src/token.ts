/**
 * A token, or what gives one. A function is asked before the first connection,
 * when a token is about to expire, and once after the server refused one; it
 * may ask a person or another server. Undefined is that there is none; throwing
 * is that there is none right now, and it is asked again later.
 */
export type TokenSource = string | (() => string | undefined | Promise<string | undefined>);

/** Who a token is for, as it says itself. It is for people to read: what somebody may do the server decides. */
export interface Identity {
  subject: string;
  roles: readonly string[];
  accounts: readonly string[];
  /** When it expires, by the server's clock in ms; undefined is never, or not known. */
  expiresAt: number | undefined;
}

/** Reports whether a text has the form of a token: three parts with dots between. */
export function isToken(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}

/** Reads who a token is for; undefined is a text that is no token, or one that does not say it in the open. */
export function readToken(token: string): Identity | undefined {
  if (!isToken(token)) return undefined;
  try {
    const part = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    return {
      subject: typeof claims.sub === "number" ? String(claims.sub) : (strings(claims.sub)[0] ?? ""),
      roles: strings(claims.roles),
      accounts: strings(claims.accounts),
      expiresAt: typeof claims.exp === "number" ? claims.exp * 1000 : undefined,
    };
  } catch {
    return undefined;
  }
}

function strings(value: unknown): readonly string[] {
  return [value].flat().filter((entry) => typeof entry === "string");
}
