// Go's time layouts, for times in UTC: the reference time `Mon Jan 2 15:04:05 MST 2006` written the way it
// should look.

const MONTHS = "January February March April May June July August September October November December".split(
  " ",
);
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

// Longer elements first. `(?![a-z])`: "Jan" in "Janet" is literal text. `(?![0-9])`: ".00" in ".005" is not a
// fraction. "_2006" is an underscore and a year.
const ELEMENTS = new RegExp(
  [
    "January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST",
    "002|01|02|03|04|05|06|15|1|2006|2|_(?=2006)|__2|_2|3|4|5|PM|pm",
    "-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07",
    "[.,]0+(?![0-9])|[.,]9+(?![0-9])",
  ].join("|"),
  "g",
);

type Formatter = (date: Date) => string;

const FORMATTERS: Readonly<Record<string, Formatter>> = {
  January: (date) => MONTHS[date.getUTCMonth()]!,
  Jan: (date) => MONTHS[date.getUTCMonth()]!.slice(0, 3),
  Monday: (date) => DAYS[date.getUTCDay()]!,
  Mon: (date) => DAYS[date.getUTCDay()]!.slice(0, 3),
  MST: () => "UTC",
  "2006": (date) => String(date.getUTCFullYear()).padStart(4, "0"),
  "06": (date) => two(date.getUTCFullYear() % 100),
  "01": (date) => two(date.getUTCMonth() + 1),
  "1": (date) => String(date.getUTCMonth() + 1),
  "02": (date) => two(date.getUTCDate()),
  _2: (date) => String(date.getUTCDate()).padStart(2, " "),
  "2": (date) => String(date.getUTCDate()),
  "002": (date) => String(dayOfYear(date)).padStart(3, "0"),
  __2: (date) => String(dayOfYear(date)).padStart(3, " "),
  "15": (date) => two(date.getUTCHours()),
  "03": (date) => two(hour12(date)),
  "3": (date) => String(hour12(date)),
  "04": (date) => two(date.getUTCMinutes()),
  "4": (date) => String(date.getUTCMinutes()),
  "05": (date) => two(date.getUTCSeconds()),
  "5": (date) => String(date.getUTCSeconds()),
  PM: (date) => (date.getUTCHours() >= 12 ? "PM" : "AM"),
  pm: (date) => (date.getUTCHours() >= 12 ? "pm" : "am"),
  _: () => "_",
};

/** `unixMs` in UTC, laid out as Go's Time.Format would. Fractions of a second are exact to the millisecond. */
export function formatGoTime(unixMs: number, layout: string): string {
  const date = new Date(unixMs);
  return layout.replace(
    ELEMENTS,
    (element) => FORMATTERS[element]?.(date) ?? formatZoneOrFraction(element, date),
  );
}

function formatZoneOrFraction(element: string, date: Date): string {
  if (element.startsWith("Z")) return "Z";
  if (element.startsWith("-")) return element.replace("-", "+").replace("7", "0");
  const separator = element[0]!;
  const size = element.length - 1;
  const digits = String(date.getUTCMilliseconds()).padStart(3, "0").padEnd(size, "0").slice(0, size);
  if (element[1] === "0") return separator + digits;
  const trimmed = digits.replace(/0+$/, "");
  return trimmed === "" ? "" : separator + trimmed;
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}

function hour12(date: Date): number {
  return date.getUTCHours() % 12 || 12;
}

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;
}
