// Reading values out of parsed JSON, in the leniency of protobuf's JSON mapping: integers as numbers or strings.
import { invalid } from "./validation-error.ts";

export function isJsonObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

export function jsonArray(json: unknown): readonly unknown[] {
  return Array.isArray(json) ? json : invalid("expected a JSON array");
}

export function jsonString(json: unknown): string {
  return typeof json === "string" ? json : invalid("expected a JSON string");
}

export function jsonBoolean(json: unknown): boolean {
  return typeof json === "boolean" ? json : invalid("expected a JSON boolean");
}

/** An integer in [min, max], given as a number, a bigint or decimal digits in a string. */
export function jsonInteger(json: unknown, bounds: { readonly min: bigint; readonly max: bigint }): bigint {
  const value = integerOf(json);
  if (value === undefined) return invalid("expected an integer");
  if (value < bounds.min || value > bounds.max) {
    return invalid(`value out of range (${value}; expected ${bounds.min} <= value <= ${bounds.max})`);
  }
  return value;
}

/** A number, given as one, or in a string, where `NaN`, `Infinity` and `-Infinity` may stand too. */
export function jsonDouble(json: unknown): number {
  if (typeof json === "number") return json;
  if (typeof json === "bigint") return Number(json);
  if (typeof json === "string" && DOUBLE_TEXT.test(json)) return Number(json);
  return invalid("expected a number");
}

const DOUBLE_TEXT = /^(?:-?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|Infinity)|NaN)$/;

/** Standard base64; padding may be missing, and the URL alphabet is accepted too. */
export function jsonBytes(json: unknown): Uint8Array {
  const text = jsonString(json)
    .replaceAll("-", "+")
    .replaceAll("_", "/")
    .replace(/={1,2}$/, "");
  if (!/^[A-Za-z0-9+/]*$/.test(text) || text.length % 4 === 1) return invalid("not valid base64");
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** Standard base64 with padding. */
export function base64(bytes: Uint8Array): string {
  const CHUNK = 3 * 4096; // Whole triples, so that the pieces concatenate; small enough to be arguments of a call.
  let out = "";
  for (let i = 0; i < bytes.length; i += CHUNK) {
    out += btoa(String.fromCharCode(...bytes.subarray(i, i + CHUNK)));
  }
  return out;
}

function integerOf(json: unknown): bigint | undefined {
  if (typeof json === "bigint") return json;
  if (typeof json === "number") return Number.isSafeInteger(json) ? BigInt(json) : undefined;
  if (typeof json === "string" && /^-?[0-9]{1,20}$/.test(json)) return BigInt(json);
  return undefined;
}
