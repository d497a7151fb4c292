// JSON texts of what records of all signals have. Whatever JSON cannot say in its own numbers stays readable: integers
// of 64 bits keep their digits, doubles that are no numbers are the strings that protobuf's JSON has for them.
import { type AnyValue, type KeyValue, type Resource, type Scope } from "./otlp-values.ts";

const INT64_MAX = (1n << 63n) - 1n;
const NANOS = 1_000_000_000n;
const CHUNK = 3 * 4096; // Whole triples, so that the pieces concatenate; small enough to be arguments of a call.

export const textJson: (text: string) => string = JSON.stringify;

/** Keys as they are, dots included. Of a key that comes twice the last value counts, at the place of the first. */
export function attributesJson(attributes: readonly KeyValue[]): string {
  if (attributes.length === 0) return "{}";
  const values = new Map(attributes.map(({ key, value }) => [key, value]));
  let json = "";
  for (const [key, value] of values) json += `,${textJson(key)}:${valueJson(value)}`;
  return `{${json.slice(1)}}`;
}

/** The decoders bound how deep values nest. */
export function valueJson(value: AnyValue | undefined): string {
  if (value === undefined) return "null";
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue, bytesValue } = value;
  if (stringValue !== undefined) return textJson(stringValue);
  if (intValue !== undefined) return String(intValue);
  if (doubleValue !== undefined) return doubleJson(doubleValue);
  if (boolValue !== undefined) return String(boolValue);
  if (arrayValue !== undefined) return listJson(arrayValue.values, valueJson);
  if (kvlistValue !== undefined) return attributesJson(kvlistValue.values);
  return bytesValue === undefined ? "null" : `"${base64(bytesValue)}"`;
}

export function doubleJson(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : String(value);
  return `"${value}"`;
}

/** A uint64 as the int64 next to it: that is what targets have. */
export function countJson(count: bigint): string {
  return String(count > INT64_MAX ? INT64_MAX : count);
}

export function listJson<T>(items: readonly T[], toJson: (item: T) => string): string {
  return `[${items.map(toJson).join(",")}]`;
}

/** RFC 3339 in UTC with up to nine digits of a second, or an empty string for 0: no time was given. */
export function timeJson(unixNanos: bigint): string {
  return unixNanos === 0n ? '""' : `"${rfc3339(unixNanos)}"`;
}

function rfc3339(unixNanos: bigint): string {
  const second = new Date(Number(unixNanos / NANOS) * 1000).toISOString().slice(0, 19);
  const fraction = unixNanos % NANOS;
  if (fraction === 0n) return `${second}Z`;
  return `${second}.${String(fraction).padStart(9, "0").replace(/0+$/, "")}Z`;
}

/** An id of zeros is none. */
export function idJson(id: string): string {
  return hasId(id) ? `"${id}"` : '""';
}

export function hasId(id: string): boolean {
  return /[^0]/.test(id);
}

/** A number that has no name is its own. */
export function enumJson(names: readonly string[], value: number): string {
  return `"${names[value] ?? value}"`;
}

export function resourceJson(resource: Resource | undefined): string {
  return attributesJson(resource?.attributes ?? []);
}

export function scopeJson(scope: Scope | undefined): string {
  return `{"name":${textJson(scope?.name ?? "")},"version":${textJson(scope?.version ?? "")}}`;
}

function base64(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i += CHUNK) {
    out += btoa(String.fromCharCode(...bytes.subarray(i, i + CHUNK)));
  }
  return out;
}
