import { locale, unknown } from "./format.ts";

type Format = Pick<Intl.DateTimeFormat, "format">;

const formats = new Map<string, Format>();

function formatter(timeZone: string | undefined, options: Intl.DateTimeFormatOptions): Format {
  const key = JSON.stringify([timeZone, options]);
  let found = formats.get(key);
  if (found === undefined) {
    found = dateFormat(timeZone === undefined ? options : { ...options, timeZone });
    formats.set(key, found);
  }
  return found;
}

/** What time it is in a zone the browser does not know, nobody knows. */
function dateFormat(options: Intl.DateTimeFormatOptions): Format {
  try {
    return new Intl.DateTimeFormat(locale, options);
  } catch {
    return { format: () => unknown };
  }
}

/** A wall clock with seconds, 24 hours. The browser's own time zone unless one is given. */
export function clockTime(ms: number, timeZone?: string): string {
  return formatter(timeZone, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(ms);
}

/** Hours and minutes. */
export function shortTime(ms: number, timeZone?: string): string {
  return formatter(timeZone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(ms);
}

/** The short day of the week: a market's may be another than ours. */
export function weekday(ms: number, timeZone?: string): string {
  return formatter(timeZone, { weekday: "short" }).format(ms);
}

/** A day without its year: "Fri, Nov 20". */
export function day(ms: number, timeZone?: string): string {
  return formatter(timeZone, { weekday: "short", month: "short", day: "numeric" }).format(ms);
}

/** A date and a time. */
export function dateTime(ms: number): string {
  return `${formatter(undefined, { dateStyle: "medium" }).format(ms)} ${clockTime(ms)}`;
}

/** How long something is away: "4:55:12", or "2 d 4 h" beyond a day. */
export function countdown(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  const two = (n: number): string => String(n).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes % 60)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
