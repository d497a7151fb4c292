// strftime in UTC, for `Now(format)` (keboola-stream specification 3.2): a format is compiled once. Directives are
// those of C that do not depend on a language, `%f` for milliseconds and `%s` for seconds since 1970.

/** Writes a time. @param ms Unix milliseconds of the years 0 to 9999 */
export type TimeFormat = (ms: number) => string;

/** A format is written by a person; what it makes is at most twelve times as long. */
export const FORMAT_CHARS_MAX = 256;

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAY_MS = 86_400_000;

/** What stands for others. */
const COMPOUNDS: Readonly<Record<string, string>> = {
  c: "%a %b %e %H:%M:%S %Y",
  D: "%m/%d/%y",
  F: "%Y-%m-%d",
  h: "%b",
  R: "%H:%M",
  r: "%I:%M:%S %p",
  T: "%H:%M:%S",
  v: "%e-%b-%Y",
  X: "%H:%M:%S",
  x: "%m/%d/%y",
};

const DIRECTIVES: Readonly<Record<string, (time: Date) => string>> = {
  "%": () => "%",
  A: (time) => DAYS[time.getUTCDay()]!,
  a: (time) => DAYS[time.getUTCDay()]!.slice(0, 3),
  B: (time) => MONTHS[time.getUTCMonth()]!,
  b: (time) => MONTHS[time.getUTCMonth()]!.slice(0, 3),
  C: (time) => digits(Math.floor(time.getUTCFullYear() / 100), 2),
  d: (time) => digits(time.getUTCDate(), 2),
  e: (time) => String(time.getUTCDate()).padStart(2),
  f: (time) => digits(time.getUTCMilliseconds(), 3),
  G: (time) => digits(isoWeek(time).year, 4),
  g: (time) => digits(isoWeek(time).year % 100, 2),
  H: (time) => digits(time.getUTCHours(), 2),
  I: (time) => digits(hour12(time), 2),
  j: (time) => digits(dayOfYear(time) + 1, 3),
  k: (time) => String(time.getUTCHours()).padStart(2),
  L: (time) => digits(time.getUTCMilliseconds(), 3),
  l: (time) => String(hour12(time)).padStart(2),
  M: (time) => digits(time.getUTCMinutes(), 2),
  m: (time) => digits(time.getUTCMonth() + 1, 2),
  n: () => "\n",
  p: (time) => (time.getUTCHours() < 12 ? "AM" : "PM"),
  S: (time) => digits(time.getUTCSeconds(), 2),
  s: (time) => String(Math.floor(time.getTime() / 1000)),
  t: () => "\t",
  U: (time) => digits(Math.floor((dayOfYear(time) + 7 - time.getUTCDay()) / 7), 2),
  u: (time) => String(time.getUTCDay() === 0 ? 7 : time.getUTCDay()),
  V: (time) => digits(isoWeek(time).week, 2),
  W: (time) => digits(Math.floor((dayOfYear(time) + 7 - ((time.getUTCDay() + 6) % 7)) / 7), 2),
  w: (time) => String(time.getUTCDay()),
  Y: (time) => digits(time.getUTCFullYear(), 4),
  y: (time) => digits(time.getUTCFullYear() % 100, 2),
  Z: () => "UTC",
  z: () => "+0000",
};

/** @throws {Error} on a directive that there is not, and on a format that is too long */
export function compileTimeFormat(format: string): TimeFormat {
  if (format.length > FORMAT_CHARS_MAX) {
    throw new Error(`the time format has ${format.length} characters, the limit is ${FORMAT_CHARS_MAX}`);
  }
  // Two characters at a time, so that the second `%` of `%%` begins nothing.
  const plain = format.replaceAll(/%([^])/g, (directive, letter: string) =>
    Object.hasOwn(COMPOUNDS, letter) ? COMPOUNDS[letter]! : directive,
  );
  const parts: (string | ((time: Date) => string))[] = [];
  for (const [part] of plain.matchAll(/%[^]?|[^%]+/gu)) {
    if (!part.startsWith("%")) parts.push(part);
    else if (Object.hasOwn(DIRECTIVES, part.slice(1))) parts.push(DIRECTIVES[part.slice(1)]!);
    else throw new Error(`unknown directive "${part}" in the time format "${format}"`);
  }
  return (ms) => {
    const time = new Date(ms);
    let text = "";
    for (const part of parts) text += typeof part === "string" ? part : part(time);
    return text;
  };
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, "0");
}

function hour12(time: Date): number {
  return time.getUTCHours() % 12 === 0 ? 12 : time.getUTCHours() % 12;
}

/** From 0. */
function dayOfYear(time: Date): number {
  return Math.floor((time.getTime() - new Date(0).setUTCFullYear(time.getUTCFullYear(), 0, 1)) / DAY_MS);
}

/** The week, and the year that it belongs to: that of its Thursday (ISO 8601). */
function isoWeek(time: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(time.getTime() + (4 - (time.getUTCDay() === 0 ? 7 : time.getUTCDay())) * DAY_MS);
  return { year: thursday.getUTCFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}
