// Amounts of bytes and time as people read them, in the words of Gazette's tool (which has them from go-humanize).

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;
const [MINUTE, HOUR, DAY] = [60, 3600, 86_400];
const [WEEK, MONTH] = [7 * DAY, 30 * DAY];
const YEAR = 12 * MONTH;
const LONG = 37 * YEAR;

/** Below this many seconds: the text, with the number of `size`s in it. */
const SPANS: readonly (readonly [below: number, text: string, size: number])[] = [
  [1, "now", 1],
  [2, "1 second", 1],
  [MINUTE, "% seconds", 1],
  [2 * MINUTE, "1 minute", 1],
  [HOUR, "% minutes", MINUTE],
  [2 * HOUR, "1 hour", 1],
  [DAY, "% hours", HOUR],
  [2 * DAY, "1 day", 1],
  [WEEK, "% days", DAY],
  [2 * WEEK, "1 week", 1],
  [MONTH, "% weeks", WEEK],
  [2 * MONTH, "1 month", 1],
  [YEAR, "% months", MONTH],
  [1.5 * YEAR, "1 year", 1],
  [2 * YEAR, "2 years", 1],
  [LONG, "% years", YEAR],
  [Number.POSITIVE_INFINITY, "a long while", 1],
];

/** To the tenth below ten of a unit, whole from there on. */
export function iecBytes(bytes: number): string {
  let power = 0;
  while (bytes >= 1024 ** (power + 1) && power < BYTE_UNITS.length - 1) power++;
  const value = Math.floor((bytes / 1024 ** power) * 10 + 0.5) / 10;
  return `${power > 0 && value < 10 ? value.toFixed(1) : value.toFixed(0)} ${BYTE_UNITS[power]}`;
}

/** @param seconds below 0: it is to come */
export function ago(seconds: number): string {
  const span = Math.abs(seconds);
  const [, text, size] = SPANS.find(([below]) => span < below)!;
  if (text === "now") return text;
  return `${text.replace("%", String(Math.floor(span / size)))} ${seconds < 0 ? "from now" : "ago"}`;
}
