// The kinds of rows that tables are made of. Scalars are left out on the wire when zero (proto3); `nested`
// messages are always written, even when empty, as Go's encoder does for fields that cannot be nil there.
import { base64, jsonArray, jsonBoolean, jsonBytes, jsonInteger, jsonString } from "./json-value.ts";
import type { Field, Message } from "./message-table.ts";
import { quoteBytes } from "./proto-text.ts";
import { invalid } from "./validation-error.ts";
import { WIRE, type WireReader } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

interface Scalar<T> {
  readonly wireType: number;
  readonly zero: T;
  readonly read: (reader: WireReader) => T;
  readonly write: (writer: WireWriter, value: T) => void;
  readonly toJson: (value: T) => unknown;
  readonly fromJson: (json: unknown) => T;
  readonly toText: (value: T) => string;
}

const INT32 = { min: -(2n ** 31n), max: 2n ** 31n - 1n } as const;
const UINT32 = { min: 0n, max: 2n ** 32n - 1n } as const;
const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n } as const;
const UINT64 = { min: 0n, max: 2n ** 64n - 1n } as const;

export function string(number: number): Field<string> {
  return scalarField(number, {
    wireType: WIRE.BYTES,
    zero: "",
    read: (reader) => reader.text(),
    write: (writer, value) => writer.text(value),
    toJson: (value) => value,
    fromJson: jsonString,
    toText: quoteBytes,
  });
}

export function bool(number: number): Field<boolean> {
  return scalarField(number, {
    wireType: WIRE.VARINT,
    zero: false,
    read: (reader) => reader.bool(),
    write: (writer, value) => writer.uint32(value ? 1 : 0),
    toJson: (value) => value,
    fromJson: jsonBoolean,
    toText: String,
  });
}

export function int32(number: number): Field<number> {
  return scalarField(number, {
    wireType: WIRE.VARINT,
    zero: 0,
    read: (reader) => reader.int32(),
    write: (writer, value) => writer.int32(value),
    toJson: (value) => value,
    fromJson: (json) => Number(jsonInteger(json, INT32)),
    toText: String,
  });
}

export function uint32(number: number): Field<number> {
  return scalarField(number, {
    wireType: WIRE.VARINT,
    zero: 0,
    read: (reader) => reader.uint32(),
    write: (writer, value) => writer.uint32(value),
    toJson: (value) => value,
    fromJson: (json) => Number(jsonInteger(json, UINT32)),
    toText: String,
  });
}

/**
 * An int64 kept as a safe integer. A value beyond +-(2^53 - 1) is refused, or clamped when `beyond` is "saturate": for
 * upper bounds such as a time or a rate, where others write MaxInt64 to say "none".
 */
export function int64(number: number, beyond: "refuse" | "saturate" = "refuse"): Field<number> {
  return scalarField(number, {
    wireType: WIRE.VARINT,
    zero: 0,
    read: (reader) => reader.int64(beyond === "saturate"),
    write: (writer, value) => writer.int64(value),
    toJson: String,
    fromJson: (json) => safe(jsonInteger(json, INT64), beyond),
    toText: String,
  });
}

export function uint64(number: number): Field<bigint> {
  return scalarField(number, {
    wireType: WIRE.VARINT,
    zero: 0n,
    read: (reader) => reader.uint64(),
    write: (writer, value) => writer.uint64(value),
    toJson: String,
    fromJson: (json) => jsonInteger(json, UINT64),
    toText: String,
  });
}

export function fixed64(number: number): Field<bigint> {
  return scalarField(number, {
    wireType: WIRE.FIXED64,
    zero: 0n,
    read: (reader) => reader.fixed64(),
    write: (writer, value) => writer.fixed64(value),
    toJson: String,
    fromJson: (json) => jsonInteger(json, UINT64),
    toText: String,
  });
}

export function fixed32(number: number): Field<number> {
  return scalarField(number, {
    wireType: WIRE.FIXED32,
    zero: 0,
    read: (reader) => reader.fixed32(),
    write: (writer, value) => writer.fixed32(value),
    toJson: (value) => value,
    fromJson: (json) => Number(jsonInteger(json, UINT32)),
    toText: String,
  });
}

/** @param what names the enum in the refusal of an unknown number: `invalid status (99)` */
export function enumeration<E extends string>(
  number: number,
  table: Readonly<Record<E, number>>,
  what: string,
): Field<E> {
  // Object.keys of a literal table typed by E.
  const names = Object.keys(table) as E[];
  const byNumber = new Map(names.map((name) => [table[name], name]));
  const zero = byNumber.get(0) ?? names[0]!;
  const ofNumber = (value: number): E => byNumber.get(value) ?? invalid(`invalid ${what} (${value})`);
  return scalarField(number, {
    wireType: WIRE.VARINT,
    zero,
    read: (reader) => ofNumber(reader.int32()),
    write: (writer, value) => writer.uint32(table[value]),
    toJson: (value) => value,
    fromJson: (json) => {
      if (typeof json === "number") return ofNumber(json);
      const name = jsonString(json);
      return names.find((known) => known === name) ?? invalid(`invalid ${what} (${name})`);
    },
    toText: (value) => value,
  });
}

/** Absent and empty differ in memory; an empty value is not written, since proto3 cannot express it. */
export function optionalBytes(number: number): Field<Uint8Array | undefined> {
  return {
    number,
    wireType: WIRE.BYTES,
    zero: undefined,
    read: (reader) => reader.bytes(),
    write: (writer, value) => {
      if (value === undefined || value.length === 0) return;
      writer.bytes(value);
      writer.tag(number, WIRE.BYTES);
    },
    toJson: (value) => (value === undefined ? null : base64(value)),
    fromJson: jsonBytes,
    toText: (text, name, value) => {
      if (value !== undefined && value.length > 0) text.scalar(name, quoteBytes(value));
    },
  };
}

export function strings(number: number): Field<readonly string[]> {
  const item = string(number);
  return {
    number,
    wireType: WIRE.BYTES,
    zero: [],
    read: (reader, previous) => {
      reader.countItem();
      return appended(previous, reader.text());
    },
    write: (writer, values) => {
      for (let i = values.length - 1; i >= 0; i--) {
        writer.text(values[i]!);
        writer.tag(number, WIRE.BYTES);
      }
    },
    toJson: (values) => values,
    fromJson: (json) => jsonArray(json).map(item.fromJson),
    toText: (text, name, values) => {
      for (const value of values) text.scalar(name, quoteBytes(value));
    },
  };
}

/** A message that is always written. */
export function nested<M>(number: number, message: Message<M>): Field<M> {
  return {
    number,
    wireType: WIRE.BYTES,
    zero: message.zero,
    read: (reader, previous) => message.read(reader.nested(), previous),
    write: (writer, value) => writeNested(writer, number, message, value),
    toJson: message.toJson,
    fromJson: message.fromJson,
    toText: (text, name, value) => text.message(name, () => message.toText(text, value)),
  };
}

/** A message that may be absent, which is not the same as empty. */
export function optional<M>(number: number, message: Message<M>): Field<M | undefined> {
  return {
    number,
    wireType: WIRE.BYTES,
    zero: undefined,
    read: (reader, previous) => message.read(reader.nested(), previous ?? message.zero),
    write: (writer, value) => {
      if (value !== undefined) writeNested(writer, number, message, value);
    },
    toJson: (value) => (value === undefined ? null : message.toJson(value)),
    fromJson: message.fromJson,
    toText: (text, name, value) => {
      if (value !== undefined) text.message(name, () => message.toText(text, value));
    },
  };
}

export function repeated<M>(number: number, message: Message<M>): Field<readonly M[]> {
  return {
    number,
    wireType: WIRE.BYTES,
    zero: [],
    read: (reader, previous) => {
      reader.countItem();
      return appended(previous, message.read(reader.nested(), message.zero));
    },
    write: (writer, values) => {
      for (let i = values.length - 1; i >= 0; i--) writeNested(writer, number, message, values[i]!);
    },
    toJson: (values) => values.map(message.toJson),
    fromJson: (json) => jsonArray(json).map(message.fromJson),
    toText: (text, name, values) => {
      for (const value of values) text.message(name, () => message.toText(text, value));
    },
  };
}

function scalarField<T>(number: number, scalar: Scalar<T>): Field<T> {
  return {
    number,
    wireType: scalar.wireType,
    zero: scalar.zero,
    read: scalar.read,
    write: (writer, value) => {
      if (value === scalar.zero) return;
      scalar.write(writer, value);
      writer.tag(number, scalar.wireType);
    },
    toJson: scalar.toJson,
    fromJson: scalar.fromJson,
    toText: (text, name, value) => {
      if (value !== scalar.zero) text.scalar(name, scalar.toText(value));
    },
  };
}

function writeNested<M>(writer: WireWriter, number: number, message: Message<M>, value: M): void {
  const before = writer.length;
  message.write(writer, value);
  writer.uint32(writer.length - before);
  writer.tag(number, WIRE.BYTES);
}

/**
 * `previous` with one more item. The first item makes an array; the next ones are pushed onto it, since copying would
 * take quadratic time on hostile input. Only arrays made here are ever `previous`: the empty one is the shared zero.
 */
function appended<T>(previous: readonly T[], item: T): readonly T[] {
  if (previous.length === 0) return [item];
  (previous as T[]).push(item);
  return previous;
}

function safe(value: bigint, beyond: "refuse" | "saturate"): number {
  const max = BigInt(Number.MAX_SAFE_INTEGER);
  if (value <= max && value >= -max) return Number(value);
  if (beyond === "saturate") return value > 0n ? Number.MAX_SAFE_INTEGER : -Number.MAX_SAFE_INTEGER;
  return invalid(`value out of range (${value}; expected |value| < 2^53)`);
}
