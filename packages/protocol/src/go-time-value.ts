// Go's time.Time, time.Month, time.Weekday and time.Duration as templates see them. Times are in UTC, exact to the
// millisecond; `Local` is UTC, too.
import { formatGoTime } from "./go-time.ts";
import { printDuration } from "./duration.ts";
import {
  goBool,
  goFloat,
  goInt,
  goNamed,
  goString,
  method,
  type GoMember,
  type GoValue,
} from "./go-value.ts";

/** Milliseconds of Go's zero time, in year 1, since the epoch. */
export const ZERO_TIME_MS = -62_135_596_800_000;
const DAY_MS = 86_400_000;
const NS_PER_MS = 1_000_000n;
/** Of a Date, either side of the epoch. */
const TIME_MS_MAX = 8.64e15;

export function goTime(unixMs: number): GoValue {
  const text = (): string => formatGoTime(unixMs, "2006-01-02 15:04:05.999999999 -0700 MST");
  return { kind: "struct", type: "time.Time", text, members: () => timeMembers(unixMs, text) };
}

function timeMembers(unixMs: number, text: () => string): Readonly<Record<string, GoMember>> {
  const date = new Date(unixMs);
  const int = (value: bigint | number, type = "int"): GoMember => method(() => goInt(value, type));
  const same = method(() => goTime(unixMs));
  const ms = BigInt(unixMs);
  return {
    Year: int(date.getUTCFullYear()),
    Month: method(() => goNamed(date.getUTCMonth() + 1, "time.Month", formatGoTime(unixMs, "January"))),
    Day: int(date.getUTCDate()),
    Hour: int(date.getUTCHours()),
    Minute: int(date.getUTCMinutes()),
    Second: int(date.getUTCSeconds()),
    Nanosecond: int(date.getUTCMilliseconds() * 1_000_000),
    YearDay: int(Number(formatGoTime(unixMs, "002"))),
    Weekday: method(() => goNamed(date.getUTCDay(), "time.Weekday", formatGoTime(unixMs, "Monday"))),
    Unix: int(Math.floor(unixMs / 1000), "int64"),
    UnixMilli: int(ms, "int64"),
    UnixMicro: int(ms * 1000n, "int64"),
    // Beyond int64 it wraps, as Go's does.
    UnixNano: int(BigInt.asIntN(64, ms * NS_PER_MS), "int64"),
    IsZero: method(() => goBool(unixMs === ZERO_TIME_MS)),
    UTC: same,
    Local: same,
    String: method(() => goString(text())),
    Format: {
      kind: "method",
      parameters: ["string"],
      call: (layout) => goString(layout?.kind === "string" ? formatGoTime(unixMs, layout.value) : ""),
    },
    Add: {
      kind: "method",
      parameters: ["time.Duration"],
      call: (ns) => goTime(within(unixMs + Number(integer(ns) / NS_PER_MS))),
    },
    AddDate: {
      kind: "method",
      parameters: ["int", "int", "int"],
      call: (...given) => goTime(within(addDate(date, given))),
    },
    Truncate: {
      kind: "method",
      parameters: ["time.Duration"],
      call: (ns) => goTime(truncated(ms, integer(ns))),
    },
  };
}

function addDate(date: Date, given: readonly GoValue[]): number {
  const [years = 0, months = 0, days = 0] = given.map((value) => Number(integer(value)));
  const moved = new Date(date);
  moved.setUTCFullYear(date.getUTCFullYear() + years, date.getUTCMonth() + months, date.getUTCDate());
  return moved.getTime() + days * DAY_MS;
}

/** Since the zero time, as Go counts. */
function truncated(ms: bigint, ns: bigint): number {
  if (ns <= 0n) return Number(ms);
  const since = (ms - BigInt(ZERO_TIME_MS)) * NS_PER_MS;
  const kept = since - (since % ns);
  return Number(kept / NS_PER_MS) + ZERO_TIME_MS;
}

function within(unixMs: number): number {
  return Number.isNaN(unixMs) ? 0 : Math.max(-TIME_MS_MAX, Math.min(TIME_MS_MAX, unixMs));
}

function integer(given: GoValue | undefined): bigint {
  return given?.kind === "int" ? given.value : 0n;
}

export function goDuration(ms: number): GoValue {
  const ns = BigInt(Math.round(ms * 1_000_000));
  const text = (): string => printDuration(ms);
  const members: Readonly<Record<string, GoMember>> = {
    String: method(() => goString(text())),
    Hours: method(() => goFloat(ms / 3_600_000)),
    Minutes: method(() => goFloat(ms / 60_000)),
    Seconds: method(() => goFloat(ms / 1000)),
    Milliseconds: method(() => goInt(ns / NS_PER_MS, "int64")),
    Nanoseconds: method(() => goInt(ns, "int64")),
  };
  return { kind: "int", type: "time.Duration", value: ns, text, members: () => members };
}
