import type { Decimal } from "@thor/client";

/** What stands for a value nobody knows. It is never zero. */
export const unknown = "—";

/** The page is in English, so its numbers are too, wherever the browser is. */
export const locale = "en-US";

const minus = "\u2212"; // of the width of a plus; a hyphen is narrower

type Format = Pick<Intl.NumberFormat, "format">;

const formats = new Map<string, Format>();

function format(value: Decimal | undefined, options: Intl.NumberFormatOptions): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return unknown;
  const key = JSON.stringify(options);
  let number = formats.get(key);
  if (number === undefined) {
    number = numberFormat(options);
    formats.set(key, number);
  }
  return number.format(value).replace("-", minus);
}

/** A currency the browser does not know, as "USDT", stands behind its amount. */
function numberFormat(options: Intl.NumberFormatOptions): Format {
  try {
    return new Intl.NumberFormat(locale, options);
  } catch {
    const { style, currency, currencyDisplay, ...rest } = options;
    const plain = new Intl.NumberFormat(locale, rest);
    return { format: (value: number) => `${plain.format(value)} ${currency}` };
  }
}

/** An amount: two digits, and the currency's sign where one is given. */
export function money(value: Decimal | undefined, currency?: string): string {
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  if (currency === undefined) return format(value, digits);
  return format(value, { ...digits, style: "currency", currency, currencyDisplay: "narrowSymbol" });
}

/** An amount that was gained or lost: always with its sign, but for zero. */
export function change(value: Decimal | undefined): string {
  return format(value, { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero" });
}

/** A move of a price, with a price's digits. */
export function priceChange(value: Decimal | undefined): string {
  return format(value, { minimumFractionDigits: 2, maximumFractionDigits: 4, signDisplay: "exceptZero" });
}

/** A change in percent, from a number of percent. */
export function percent(value: Decimal | undefined): string {
  const text = change(value);
  return text === unknown ? text : `${text}%`;
}

/** A price: its four digits without the zeros behind the second. */
export function price(value: Decimal | undefined): string {
  return format(value, { minimumFractionDigits: 2, maximumFractionDigits: 4 });
}

/** Prices whose points stand below each other: what one lacks in digits it has in spaces as wide. */
export function alignedPrices(values: readonly (Decimal | undefined)[]): string[] {
  const texts = values.map(price);
  const digits = (text: string): number => (text === unknown ? 0 : text.length - 1 - text.indexOf("."));
  const most = Math.max(0, ...texts.map(digits));
  return texts.map((text) => (text === unknown ? text : text + "\u2007".repeat(most - digits(text))));
}

/** A quantity: as many digits as it has. */
export function quantity(value: Decimal | undefined): string {
  return format(value, { maximumFractionDigits: 9 });
}

/** A volume: short where it is large, and then always as wide. */
export function volume(value: Decimal | undefined): string {
  const large = value !== null && value !== undefined && Math.abs(value) >= 1000;
  return format(value, {
    notation: "compact",
    maximumSignificantDigits: 4,
    ...(large ? { minimumSignificantDigits: 4 } : {}),
  });
}

export type Direction = "up" | "down" | "flat" | "unknown";

/** Where a written change points: what was rounded to zero is flat. */
export function direction(text: string): Direction {
  if (text === unknown) return "unknown";
  if (text.startsWith(minus)) return "down";
  return text.startsWith("+") ? "up" : "flat";
}

/** A member's name as people write it: "buying_power" is "Buying power". */
export function words(name: string): string {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A longer id is a hash, of which the beginning is enough to tell it from others. */
const longest = 24;

/** What people call an account: its id, and the end of the broker's number where it has one. */
export function accountName(id: string, label: string | undefined): string {
  const short = id.length > longest ? `${id.slice(0, 8)}…` : id;
  return label === undefined ? short : `${short} (${label})`;
}
