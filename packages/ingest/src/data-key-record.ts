// The data keys of an installation, wrapped, as one value of the coordination store, so that processes agree on them by
// one transaction: {"v":1,"installation":"…","keys":[{"id":"…","provider":"aws-kms","by":"…","wrapped":"…","at":"…"}]},
// oldest first. A key that stands in it is never changed or removed by the platform: secrets may be sealed with it.
import { utf8, WireError } from "@millrace/base";
import { keyOf } from "@millrace/metadata";
import { isoTime, JsonFields, msOf, parseJson } from "./storage-json.ts";

export const DATA_KEYS_KEY = keyOf("/millrace/pipeline/data-keys");

/** A year of them is a few; each is unwrapped by a request at the start of a process. */
export const DATA_KEY_COUNT_MAX = 100;
/** Of base64: AWS wraps into at most 6144 bytes, of which 100 still fit a transaction (D26). */
const WRAPPED_LENGTH_MAX = 8192;
const NAME_LENGTH_MAX = 2048;

export interface DataKey {
  /** Of the key in the clear, as sealed secrets name it (S2). */
  readonly id: string;
  /** Whose service it is; one that this program does not know is kept. */
  readonly provider: string;
  /** The service's name of the key that wraps it. */
  readonly by: string;
  readonly wrapped: Uint8Array;
  readonly madeAtMs: number;
}

export interface DataKeyRecord {
  /** Drawn with the first key; bound into all of them. */
  readonly installation: string;
  /** Oldest first. */
  readonly keys: readonly DataKey[];
}

export function encodeDataKeys({ installation, keys }: DataKeyRecord): Uint8Array {
  const encoded = keys.map(({ id, provider, by, wrapped, madeAtMs }) => {
    return { id, provider, by, wrapped: Buffer.from(wrapped).toString("base64"), at: isoTime(madeAtMs) };
  });
  return utf8(JSON.stringify({ v: 1, installation, keys: encoded }));
}

/** @throws {WireError} CORRUPT with the field */
export function decodeDataKeys(bytes: Uint8Array): DataKeyRecord {
  const fields = new JsonFields(parseJson(bytes, DATA_KEYS_KEY), DATA_KEYS_KEY);
  const v = fields.integer("v", 1);
  if (v !== 1) throw corrupt(`version ${v} is newer than this program`);
  const keys = fields.list("keys", decodeDataKey);
  if (keys.length === 0 || keys.length > DATA_KEY_COUNT_MAX)
    throw corrupt(`${keys.length} keys (expected 1 to ${DATA_KEY_COUNT_MAX})`);
  return { installation: bounded(fields, "installation"), keys };
}

function decodeDataKey(value: unknown, what: string): DataKey {
  const fields = new JsonFields(value, what);
  const base64 = bounded(fields, "wrapped", WRAPPED_LENGTH_MAX);
  const wrapped = Buffer.from(base64, "base64");
  if (wrapped.toString("base64") !== base64) throw corrupt(`${what}: wrapped is not base64`);
  const [id, provider, by] = [bounded(fields, "id"), bounded(fields, "provider"), bounded(fields, "by")];
  return { id, provider, by, wrapped, madeAtMs: msOf(fields.time("at")) };
}

function bounded(fields: JsonFields, name: string, lengthMax = NAME_LENGTH_MAX): string {
  const value = fields.text(name);
  if (value.length <= lengthMax) return value;
  throw corrupt(`${name} has ${value.length} characters (expected at most ${lengthMax})`);
}

function corrupt(why: string): WireError {
  return new WireError("CORRUPT", `${DATA_KEYS_KEY}: ${why}`);
}
