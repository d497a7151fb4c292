// How single values are carried: on the wire, in JSON and in prototext. Rows of tables are made of them in
// message-fields.ts.
import { hex, unhex } from "@millrace/base";
import { base64, jsonBoolean, jsonBytes, jsonDouble, jsonInteger, jsonString } from "./json-value.ts";
import { quoteBytes } from "./proto-text.ts";
import { invalid, UnknownValueError } from "./validation-error.ts";
import { WIRE, type WireReader } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

export interface Scalar<T> {
  readonly wireType: number;
  readonly zero: T;
  /** -0 is another value than 0, and is written. */
  readonly hasSignedZero?: boolean;
  readonly read: (reader: WireReader) => T;
  readonly write: (writer: WireWriter, value: T) => void;
  readonly toJson: (value: T) => unknown;
  readonly fromJson: (json: unknown) => T;
  readonly toText: (value: T) => string;
}

/** Of a name that is not known, in its refusal. */
const NAME_CHARS_SHOWN = 64;

const INT32_BOUNDS = { min: -(2n ** 31n), max: 2n ** 31n - 1n } as const;
const UINT32_BOUNDS = { min: 0n, max: 2n ** 32n - 1n } as const;
const INT64_BOUNDS = { min: -(2n ** 63n), max: 2n ** 63n - 1n } as const;
const UINT64_BOUNDS = { min: 0n, max: 2n ** 64n - 1n } as const;

export const STRING: Scalar<string> = {
  wireType: WIRE.BYTES,
  zero: "",
  read: (reader) => reader.text(),
  write: (writer, value) => writer.text(value),
  toJson: (value) => value,
  fromJson: jsonString,
  toText: quoteBytes,
};

export const BINARY: Scalar<string> = {
  wireType: WIRE.BYTES,
  zero: "",
  read: (reader) => reader.binary(),
  write: (writer, value) => writer.binary(value),
  toJson: (value) => base64(charBytes(value)),
  fromJson: (json) => atob(base64(jsonBytes(json))),
  toText: (value) => quoteBytes(charBytes(value)),
};

/** Its zero is never compared: an empty value is not written either. */
export const BYTES: Scalar<Uint8Array> = {
  wireType: WIRE.BYTES,
  zero: new Uint8Array(0),
  read: (reader) => reader.bytes(),
  write: (writer, value) => writer.bytes(value),
  toJson: base64,
  fromJson: jsonBytes,
  toText: quoteBytes,
};

export const BOOL: Scalar<boolean> = {
  wireType: WIRE.VARINT,
  zero: false,
  read: (reader) => reader.bool(),
  write: (writer, value) => writer.uint32(value ? 1 : 0),
  toJson: (value) => value,
  fromJson: jsonBoolean,
  toText: String,
};

export const INT32: Scalar<number> = {
  wireType: WIRE.VARINT,
  zero: 0,
  read: (reader) => reader.int32(),
  write: (writer, value) => writer.int32(value),
  toJson: (value) => value,
  fromJson: (json) => Number(jsonInteger(json, INT32_BOUNDS)),
  toText: String,
};

export const UINT32: Scalar<number> = {
  wireType: WIRE.VARINT,
  zero: 0,
  read: (reader) => reader.uint32(),
  write: (writer, value) => writer.uint32(value),
  toJson: (value) => value,
  fromJson: (json) => Number(jsonInteger(json, UINT32_BOUNDS)),
  toText: String,
};

export function int64Scalar(beyond: "refuse" | "saturate"): Scalar<number> {
  return {
    wireType: WIRE.VARINT,
    zero: 0,
    read: (reader) => reader.int64(beyond === "saturate"),
    write: (writer, value) => writer.int64(value),
    toJson: String,
    fromJson: (json) => safe(jsonInteger(json, INT64_BOUNDS), beyond),
    toText: String,
  };
}

export const WIDE_INT64: Scalar<number | bigint> = {
  wireType: WIRE.VARINT,
  zero: 0,
  read: (reader) => narrowed(reader.exactInt64()),
  write: (writer, value) => writer.exactInt64(BigInt(value)),
  toJson: String,
  fromJson: (json) => narrowed(jsonInteger(json, INT64_BOUNDS)),
  toText: String,
};

/** A number where it is a safe integer. */
function narrowed(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export const EXACT_INT64: Scalar<bigint> = {
  wireType: WIRE.VARINT,
  zero: 0n,
  read: (reader) => reader.exactInt64(),
  write: (writer, value) => writer.exactInt64(value),
  toJson: String,
  fromJson: (json) => jsonInteger(json, INT64_BOUNDS),
  toText: String,
};

export const UINT64: Scalar<bigint> = {
  wireType: WIRE.VARINT,
  zero: 0n,
  read: (reader) => reader.uint64(),
  write: (writer, value) => writer.uint64(value),
  toJson: String,
  fromJson: (json) => jsonInteger(json, UINT64_BOUNDS),
  toText: String,
};

/** As 16 hex digits. */
export const FIXED64_HEX: Scalar<string> = {
  wireType: WIRE.FIXED64,
  zero: "0000000000000000",
  read: (reader) => {
    const low = reader.fixed32();
    return hex32(reader.fixed32()) + hex32(low);
  },
  write: (writer, value) => {
    // Backwards: the high half stands behind the low one.
    writer.fixed32(Number.parseInt(value.slice(0, 8), 16));
    writer.fixed32(Number.parseInt(value.slice(8), 16));
  },
  toJson: (value) => String(BigInt(`0x${value}`)),
  fromJson: (json) => jsonInteger(json, UINT64_BOUNDS).toString(16).padStart(16, "0"),
  toText: (value) => String(BigInt(`0x${value}`)),
};

function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

export const FIXED32: Scalar<number> = {
  wireType: WIRE.FIXED32,
  zero: 0,
  read: (reader) => reader.fixed32(),
  write: (writer, value) => writer.fixed32(value),
  toJson: (value) => value,
  fromJson: (json) => Number(jsonInteger(json, UINT32_BOUNDS)),
  toText: String,
};

/** An int32 that is small either way: zigzag. */
export const SINT32: Scalar<number> = {
  wireType: WIRE.VARINT,
  zero: 0,
  read: (reader) => {
    const value = reader.uint32();
    return (value >>> 1) ^ -(value & 1);
  },
  write: (writer, value) => writer.uint32(((value << 1) ^ (value >> 31)) >>> 0),
  toJson: (value) => value,
  fromJson: (json) => Number(jsonInteger(json, INT32_BOUNDS)),
  toText: String,
};

export const FIXED64: Scalar<bigint> = {
  wireType: WIRE.FIXED64,
  zero: 0n,
  read: (reader) => reader.fixed64(),
  write: (writer, value) => writer.fixed64(value),
  toJson: String,
  fromJson: (json) => jsonInteger(json, UINT64_BOUNDS),
  toText: String,
};

export const SFIXED64: Scalar<bigint> = {
  wireType: WIRE.FIXED64,
  zero: 0n,
  read: (reader) => BigInt.asIntN(64, reader.fixed64()),
  write: (writer, value) => writer.fixed64(BigInt.asUintN(64, value)),
  toJson: String,
  fromJson: (json) => jsonInteger(json, INT64_BOUNDS),
  toText: String,
};

export const DOUBLE: Scalar<number> = {
  wireType: WIRE.FIXED64,
  zero: 0,
  hasSignedZero: true,
  read: (reader) => reader.double(),
  write: (writer, value) => writer.double(value),
  toJson: (value) => (Number.isFinite(value) ? value : String(value)),
  fromJson: jsonDouble,
  toText: String,
};

/** Bytes of an id, as hex digits in memory and in JSON. @param bytes how many there are, if any */
export function hexIdScalar(bytes: number): Scalar<string> {
  const checkLength = (length: number): void => {
    if (length !== 0 && length !== bytes)
      invalid(`wrong length (${length} bytes; expected ${bytes} or none)`);
  };
  return {
    wireType: WIRE.BYTES,
    zero: "",
    read: (reader) => {
      const id = reader.bytes();
      checkLength(id.length);
      return hex(id);
    },
    write: (writer, value) => writer.bytes(unhex(value) ?? invalid("not hex digits")),
    toJson: (value) => value,
    fromJson: (json) => {
      const digits = jsonString(json);
      if (!/^(?:[0-9a-fA-F]{2})*$/.test(digits)) return invalid("not hex digits");
      checkLength(digits.length / 2);
      return digits.toLowerCase();
    },
    toText: quoteBytes,
  };
}

/** An enum by its numbers: those without a name are kept. @param what names the enum in the refusal of a name */
export function openEnumScalar(table: Readonly<Record<string, number>>, what: string): Scalar<number> {
  const byName = new Map(Object.entries(table));
  const byNumber = new Map([...byName].map(([name, number]) => [number, name]));
  return {
    ...INT32,
    toJson: (value) => byNumber.get(value) ?? value,
    fromJson: (json) => {
      if (typeof json !== "string" || /^-?[0-9]/.test(json)) return INT32.fromJson(json);
      return byName.get(json) ?? invalid(`invalid ${what} (${json.slice(0, NAME_CHARS_SHOWN)})`);
    },
    toText: (value) => byNumber.get(value) ?? String(value),
  };
}

/** @param what names the enum in the refusal of an unknown number: `invalid status (99)` */
export function enumScalar<E extends string>(table: Readonly<Record<E, number>>, what: string): Scalar<E> {
  // Object.keys of a literal table typed by E.
  const names = Object.keys(table) as E[];
  const byNumber = new Map(names.map((name) => [table[name], name]));
  const unknown = (value: number | string): string => `invalid ${what} (${value})`;
  return {
    wireType: WIRE.VARINT,
    zero: byNumber.get(0) ?? names[0]!,
    read: (reader) => {
      const value = reader.int32();
      const name = byNumber.get(value);
      if (name === undefined) throw new UnknownValueError(unknown(value));
      return name;
    },
    write: (writer, value) => writer.uint32(table[value]),
    toJson: (value) => value,
    fromJson: (json) => {
      if (typeof json === "number") return byNumber.get(json) ?? invalid(unknown(json));
      const name = jsonString(json);
      return names.find((known) => known === name) ?? invalid(unknown(name));
    },
    toText: (value) => value,
  };
}

function charBytes(value: string): Uint8Array {
  return Uint8Array.from(value, (char) => char.charCodeAt(0));
}

function safe(value: bigint, beyond: "refuse" | "saturate"): number {
  const max = BigInt(Number.MAX_SAFE_INTEGER);
  if (value <= max && value >= -max) return Number(value);
  if (beyond === "saturate") return value > 0n ? Number.MAX_SAFE_INTEGER : -Number.MAX_SAFE_INTEGER;
  return invalid(`value out of range (${value}; expected |value| < 2^53)`);
}
