import type { FeatureTrouble } from "@thor/client";
import { clockTime, dateTime } from "./time.ts";

/** What is wrong, as a sentence without its end; the second kind goes on with a time since when. */
const what: Readonly<Record<string, string>> = {
  auth_expired: "The source wants somebody to sign in again",
  auth_required: "The source wants somebody to sign in again",
  forbidden: "The source does not let this be read",
  not_supported: "The source does not have this",
  conflict: "Somebody else uses the source with the same sign-in",
  end_of_data: "The recording is over",
};
const lasting: Readonly<Record<string, string>> = {
  transient: "The source has not answered",
  hung: "The source has not answered",
  bad_data: "What the source answers cannot be read",
  late: "The source has not been asked",
  server: "The server has not taken new values in",
  outside: "The job that publishes this has been silent",
};

/** From this age on a time is said with its day, in ms. */
const dayOld = 12 * 3_600_000;

/**
 * Says in words why nothing new comes, and of when what is shown is. Times are
 * in ms; asOf is undefined where nothing is shown.
 */
export function textOf(trouble: FeatureTrouble, asOf: number | undefined, now: number): string {
  const time = (ms: number): string => (now - ms < dayOld ? clockTime(ms) : dateTime(ms));
  const known = what[trouble.kind];
  if (known !== undefined) return ending(known, asOf, time);
  if (trouble.kind === "rate_limited") {
    const until = trouble.until === undefined || trouble.until <= now ? "" : ` until ${clockTime(trouble.until)}`;
    return ending(`The source wants to be left alone${until}`, asOf, time);
  }
  const text = lasting[trouble.kind] ?? "Nothing has come from the source";
  if (asOf !== undefined) return `${text} since ${time(asOf)}; these values are of then.`;
  const since = trouble.since === undefined ? " so far" : ` since ${time(trouble.since)}`;
  return `${text}${since}.`;
}

function ending(text: string, asOf: number | undefined, time: (ms: number) => string): string {
  return asOf === undefined ? `${text}.` : `${text}. These values are of ${time(asOf)}.`;
}
