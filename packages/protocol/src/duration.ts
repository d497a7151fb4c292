// Durations. In memory: milliseconds, a fraction for what is below. A double holds them exact to 1 ns up to 104
// days and to 1 us up to 285 years; encoding rounds to that. Go keeps int64 nanoseconds (292 years), so anything
// longer is refused. Text is Go's: `1h30m`, `5m0s`, `1.5s`, `100ms`.
import { assert, utf8 } from "@millrace/base";
import {
  int32,
  int64,
  invalid,
  jsonString,
  message,
  nested,
  type Field,
  type Message,
} from "@millrace/protobuf";
import { goQuote } from "./go-quote.ts";

/** Milliseconds whose nanoseconds fit an int64. */
const DURATION_MS_MAX = Number(2n ** 63n / 1_000_000n);
/** Below this many milliseconds a double can tell nanoseconds apart. */
const NANO_EXACT_MS_MAX = 2 ** 53 / 1e6;
const UNIT_NANOS: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["\u00b5s", 1_000n],
  ["\u03bcs", 1_000n],
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n],
]);

interface WireDuration {
  readonly seconds: number;
  readonly nanos: number;
}

const wireDuration: Message<WireDuration> = message<WireDuration>({ seconds: int64(1), nanos: int32(2) });

/** google.protobuf.Duration as milliseconds; JSON as `"300s"`. */
export const durationMessage: Message<number> = {
  zero: 0,
  read: (reader, previous) => msOfWire(wireDuration.read(reader, wireOfMs(previous))),
  write: (writer, ms) => wireDuration.write(writer, wireOfMs(ms)),
  toJson: durationToJson,
  fromJson: (json) => {
    const text = jsonString(json);
    if (!/^-?[0-9]{1,12}(\.[0-9]{1,9})?s$/.test(text)) return invalid(`invalid duration (${goQuote(text)})`);
    return nanosToMs(parseNanos(text));
  },
  toText: (text, ms) => wireDuration.toText(text, wireOfMs(ms)),
};

/** A duration that is always on the wire. To Go's text it is a number, which is left out when it is 0. */
export function durationField(number: number): Field<number> {
  const field = nested(number, durationMessage);
  return {
    ...field,
    toText: (text, name, ms) => {
      if (ms !== 0) field.toText(text, name, ms);
    },
  };
}

/** Go's notation of a duration. */
export function printDuration(ms: number): string {
  const nanos = msToNanos(ms);
  if (nanos < 0n) return `-${printNanos(-nanos)}`;
  return printNanos(nanos);
}

/**
 * Milliseconds of a duration in Go's notation, e.g. `1h30m`, `-1.5h`, `0`.
 * @throws {WireError} INVALID_ARGUMENT with Go's text
 */
export function parseDuration(text: string): number {
  return nanosToMs(parseNanos(text));
}

/** Milliseconds of a count of nanoseconds, as tools write durations without a unit. */
export function nanosToMs(nanos: bigint): number {
  if (nanos >= 2n ** 63n || nanos < -(2n ** 63n)) return invalid(`duration out of range (${nanos}ns)`);
  const whole = nanos / 1_000_000n;
  return Number(whole) + Number(nanos - whole * 1_000_000n) / 1e6;
}

/** The nearest count of nanoseconds that `ms` can stand for. */
export function msToNanos(ms: number): bigint {
  assert(Math.abs(ms) <= DURATION_MS_MAX, "duration fits int64 nanoseconds", { ms });
  const whole = Math.trunc(ms);
  const fraction = ms - whole;
  const below =
    Math.abs(ms) <= NANO_EXACT_MS_MAX ? Math.round(fraction * 1e6) : Math.round(fraction * 1e3) * 1e3;
  return BigInt(whole) * 1_000_000n + BigInt(below);
}

function wireOfMs(ms: number): WireDuration {
  const nanos = msToNanos(ms);
  return { seconds: Number(nanos / 1_000_000_000n), nanos: Number(nanos % 1_000_000_000n) };
}

function msOfWire(wire: WireDuration): number {
  const { seconds, nanos } = wire;
  if (Math.abs(nanos) >= 1e9) return invalid(`nanos out of range (${nanos})`);
  if (seconds * nanos < 0) return invalid(`seconds and nanos have different signs (${seconds}, ${nanos})`);
  return nanosToMs(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
}

/** Seconds with 0, 3, 6 or 9 digits after the point. */
function durationToJson(ms: number): string {
  const nanos = msToNanos(ms);
  const size = nanos < 0n ? -nanos : nanos;
  const digits = (size % 1_000_000_000n)
    .toString()
    .padStart(9, "0")
    .replace(/(000)+$/, "");
  return `${nanos < 0n ? "-" : ""}${size / 1_000_000_000n}${digits === "" ? "" : `.${digits}`}s`;
}

function printNanos(nanos: bigint): string {
  if (nanos === 0n) return "0s";
  if (nanos < 1_000n) return `${nanos}ns`;
  if (nanos < 1_000_000n) return `${decimal(nanos, 3)}\u00b5s`;
  if (nanos < 1_000_000_000n) return `${decimal(nanos, 6)}ms`;
  const minutes = nanos / 60_000_000_000n;
  const seconds = `${decimal(nanos % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) return seconds;
  if (minutes < 60n) return `${minutes}m${seconds}`;
  return `${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

/** `value / 10^digits` without trailing zeros. */
function decimal(value: bigint, digits: number): string {
  const text = value.toString().padStart(digits + 1, "0");
  const fraction = text.slice(-digits).replace(/0+$/, "");
  return fraction === "" ? text.slice(0, -digits) : `${text.slice(0, -digits)}.${fraction}`;
}

function parseNanos(text: string): bigint {
  const [, sign, rest] = /^([+-]?)(.*)$/s.exec(text)!;
  if (rest === "0") return 0n;
  if (rest === "" || text.length > 128) return invalid(`time: invalid duration ${timeQuote(text)}`);
  const terms = /([0-9]*)(?:\.([0-9]*))?([^0-9.]*)/y;
  let nanos = 0n;
  while (terms.lastIndex < rest!.length) {
    const at = terms.lastIndex;
    const [, whole, fraction, unit] = terms.exec(rest!) ?? [];
    if (terms.lastIndex === at || (!whole && !fraction))
      return invalid(`time: invalid duration ${timeQuote(text)}`);
    if (unit === "") return invalid(`time: missing unit in duration ${timeQuote(text)}`);
    const scale = UNIT_NANOS.get(unit!);
    if (scale === undefined) {
      return invalid(`time: unknown unit ${timeQuote(unit!)} in duration ${timeQuote(text)}`);
    }
    const digits = fraction ?? "";
    nanos += BigInt(whole || "0") * scale + (BigInt(digits || "0") * scale) / 10n ** BigInt(digits.length);
  }
  return sign === "-" ? -nanos : nanos;
}

/** How Go's package time quotes: every byte outside printable ASCII as `\\xhh`. */
function timeQuote(text: string): string {
  let out = "";
  for (const byte of utf8(text)) {
    if (byte < 0x20 || byte >= 0x80) out += `\\x${byte.toString(16).padStart(2, "0")}`;
    else out += (byte === 0x22 || byte === 0x5c ? "\\" : "") + String.fromCharCode(byte);
  }
  return `"${out}"`;
}
