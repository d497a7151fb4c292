// Numbers, sizes and times as text. English on purpose, like the rest of the page: one page, one notation.

const INTEGER = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const MINUS = "\u2212";
/** Between a number and its unit, so that they stay together. */
const NARROW = "\u202F";

/** 1,234,567. */
export function count(value: number): string {
  return INTEGER.format(value);
}

/** A figure with about three digits: 0.42, 7.3, 950, 12.3k, 4.56M. Four digits are still written out. */
export function compact(value: number): string {
  if (value < 0) return MINUS + compact(-value);
  for (const { from, divisor, unit } of COMPACT_UNITS) {
    if (value >= from) return threeDigits(value / divisor) + unit;
  }
  return threeDigits(value);
}

const COMPACT_UNITS = [
  { from: 999.5e9, divisor: 1e12, unit: "T" },
  { from: 999.5e6, divisor: 1e9, unit: "G" },
  { from: 999.5e3, divisor: 1e6, unit: "M" },
  { from: 9999.5, divisor: 1e3, unit: "k" },
] as const;

function threeDigits(value: number): string {
  if (value === 0) return "0";
  if (value >= 99.95) return INTEGER.format(value);
  if (value >= 9.995) return trimZeros(value.toFixed(1));
  if (value >= 0.0095) return trimZeros(value.toFixed(2));
  return "<0.01";
}

/** A rate: whole when it is large, with a fraction when that says something. */
export function rate(value: number): string {
  return value >= 100 || Number.isInteger(value) ? count(value) : trimZeros(value.toFixed(1));
}

/** 0 B, 512 B, 1.5 KiB, 64 MiB. */
export function bytes(value: number): string {
  let amount = value;
  let unit = 0;
  while (amount >= 1023.95 && unit < BYTE_UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const text = unit === 0 || amount >= 99.95 ? INTEGER.format(amount) : trimZeros(amount.toFixed(1));
  return `${text}${NARROW}${BYTE_UNITS[unit]}`;
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Milliseconds as latency: 0.42, 7.3, 950; in seconds from 10,000 on. */
export function milliseconds(value: number | null): string {
  if (value === null) return "\u2013";
  if (value >= 9999.5) return `${trimZeros((value / 1000).toFixed(1))}${NARROW}s`;
  return `${threeDigits(value)}${NARROW}ms`;
}

/** 0.4 s, 12 s, 3 min, 2 h, 5 d. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${trimZeros(seconds.toFixed(1))}${NARROW}s`;
  if (seconds < 119.5) return `${Math.round(seconds)}${NARROW}s`;
  const minutes = seconds / 60;
  if (minutes < 119.5) return `${Math.round(minutes)}${NARROW}min`;
  const hours = minutes / 60;
  if (hours < 47.5) return `${Math.round(hours)}${NARROW}h`;
  return `${Math.round(hours / 24)}${NARROW}d`;
}

/** `12 s ago`, `in 5 s`, `now`. */
export function relative(atMs: number, nowMs: number): string {
  if (!Number.isFinite(atMs)) return "\u2013";
  const ago = nowMs - atMs;
  if (Math.abs(ago) < 950) return "now";
  const text = duration(Math.round(Math.abs(ago) / 1000) * 1000);
  return ago > 0 ? `${text} ago` : `in ${text}`;
}

/** 14:02:33, local time. */
export function clock(ms: number): string {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => pad(part)).join(":");
}

/** 2026-11-21 14:02:33.120 and the zone's offset: for titles, where a relative time is explained. */
export function moment(ms: number): string {
  if (!Number.isFinite(ms)) return "unknown time";
  const date = new Date(ms);
  const day = [date.getFullYear(), pad(date.getMonth() + 1), pad(date.getDate())].join("-");
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? MINUS : "+";
  const zone = `${sign}${pad(Math.floor(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)}`;
  return `${day} ${clock(ms)}.${String(date.getMilliseconds()).padStart(3, "0")} ${zone}`;
}

/** `1 row`, `2 rows`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
