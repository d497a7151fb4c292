// The kinds of rows that tables are made of. Scalars are left out on the wire when zero (proto3); `nested`
// messages are always written, even when empty, as Go's encoder does for fields that cannot be nil there.
import { base64, jsonArray, jsonBytes } from "./json-value.ts";
import type { Field, Message } from "./message-table.ts";
import { quoteBytes } from "./proto-text.ts";
import {
  BINARY,
  BOOL,
  BYTES,
  DOUBLE,
  enumScalar,
  EXACT_INT64,
  FIXED32,
  FIXED64,
  FIXED64_HEX,
  hexIdScalar,
  INT32,
  int64Scalar,
  WIDE_INT64,
  openEnumScalar,
  SFIXED64,
  SINT32,
  STRING,
  UINT32,
  UINT64,
  type Scalar,
} from "./scalars.ts";
import { WIRE } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

export function string(number: number): Field<string> {
  return scalarField(number, STRING);
}

export function strings(number: number): Field<readonly string[]> {
  return listField(number, STRING);
}

/** Bytes as a binary string, one char a byte: for keys, whose order and equality are then the string's. */
export function binary(number: number): Field<string> {
  return scalarField(number, BINARY);
}

export function bool(number: number): Field<boolean> {
  return scalarField(number, BOOL);
}

export function int32(number: number): Field<number> {
  return scalarField(number, INT32);
}

export function uint32(number: number): Field<number> {
  return scalarField(number, UINT32);
}

/**
 * An int64 kept as a safe integer. A value beyond +-(2^53 - 1) is refused, or clamped when `beyond` is "saturate": for
 * upper bounds such as a time or a rate, where others write MaxInt64 to say "none".
 */
export function int64(number: number, beyond: "refuse" | "saturate" = "refuse"): Field<number> {
  return scalarField(number, int64Scalar(beyond));
}

/**
 * An int64 that is written back as it was read: a number, or a bigint beyond +-(2^53 - 1). For what others write, and
 * what is not counted with.
 */
export function wideInt64(number: number): Field<number | bigint> {
  return scalarField(number, WIDE_INT64);
}

/** An int64 all of whose bits are used, such as an id. */
export function exactInt64(number: number): Field<bigint> {
  return scalarField(number, EXACT_INT64);
}

export function uint64(number: number): Field<bigint> {
  return scalarField(number, UINT64);
}

export function uint64s(number: number): Field<readonly bigint[]> {
  return packedField(number, UINT64);
}

/** A fixed64 kept as its 16 hex digits: words of digests, which nobody counts with. */
export function fixed64Hex(number: number): Field<string> {
  return scalarField(number, FIXED64_HEX);
}

export function fixed32(number: number): Field<number> {
  return scalarField(number, FIXED32);
}

export function fixed64(number: number): Field<bigint> {
  return scalarField(number, FIXED64);
}

export function fixed64s(number: number): Field<readonly bigint[]> {
  return packedField(number, FIXED64);
}

export function sint32(number: number): Field<number> {
  return scalarField(number, SINT32);
}

export function double(number: number): Field<number> {
  return scalarField(number, DOUBLE);
}

export function doubles(number: number): Field<readonly number[]> {
  return packedField(number, DOUBLE);
}

/** An id of `length` bytes, or none: as hex digits in memory, and in JSON too (where protobuf has base64). */
export function hexId(number: number, length: number): Field<string> {
  return scalarField(number, hexIdScalar(length));
}

/** Rows of a oneof, and of fields that the .proto calls `optional`: absent and zero differ, and zero is written. */
export const present = {
  string: (number: number): Field<string | undefined> => presentField(number, STRING),
  bool: (number: number): Field<boolean | undefined> => presentField(number, BOOL),
  exactInt64: (number: number): Field<bigint | undefined> => presentField(number, EXACT_INT64),
  sfixed64: (number: number): Field<bigint | undefined> => presentField(number, SFIXED64),
  double: (number: number): Field<number | undefined> => presentField(number, DOUBLE),
  bytes: (number: number): Field<Uint8Array | undefined> => presentField(number, BYTES),
} as const;

/** @param what names the enum in the refusal of an unknown number: `invalid status (99)` */
export function enumeration<E extends string>(
  number: number,
  table: Readonly<Record<E, number>>,
  what: string,
): Field<E> {
  return scalarField(number, enumScalar(table, what));
}

/** An enum by its numbers, for those that grow: a number without a name is kept. JSON may have either. */
export function openEnumeration(
  number: number,
  table: Readonly<Record<string, number>>,
  what: string,
): Field<number> {
  return scalarField(number, openEnumScalar(table, what));
}

export function enumerations<E extends string>(
  number: number,
  table: Readonly<Record<E, number>>,
  what: string,
): Field<readonly E[]> {
  return packedField(number, enumScalar(table, what));
}

/** Bytes that are empty when absent. */
export function bytes(number: number): Field<Uint8Array> {
  return bytesField(number, BYTES.zero);
}

/** Absent and empty differ in memory; an empty value is not written, since proto3 cannot express it. */
export function optionalBytes(number: number): Field<Uint8Array | undefined> {
  return bytesField(number, undefined);
}

export function bytesList(number: number): Field<readonly Uint8Array[]> {
  return listField(number, BYTES);
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

/** An optional message of our own in a message of others: when it is absent, their JSON says nothing of it. */
export function extension<M>(number: number, message: Message<M>): Field<M | undefined> {
  const toJson = (value: M | undefined): unknown => (value === undefined ? undefined : message.toJson(value));
  return { ...optional(number, message), toJson };
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
      if (value === scalar.zero && scalar.hasSignedZero !== true) return;
      if (Object.is(value, scalar.zero)) return;
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

function presentField<T>(number: number, scalar: Scalar<T>): Field<T | undefined> {
  return {
    number,
    wireType: scalar.wireType,
    zero: undefined,
    read: scalar.read,
    write: (writer, value) => {
      if (value === undefined) return;
      scalar.write(writer, value);
      writer.tag(number, scalar.wireType);
    },
    toJson: (value) => (value === undefined ? undefined : scalar.toJson(value)),
    fromJson: scalar.fromJson,
    toText: (text, name, value) => {
      if (value !== undefined) text.scalar(name, scalar.toText(value));
    },
  };
}

function bytesField<Absent extends Uint8Array | undefined>(
  number: number,
  zero: Absent,
): Field<Uint8Array | Absent> {
  return {
    number,
    wireType: WIRE.BYTES,
    zero,
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

/** Values of variable length, each with its tag. */
function listField<T>(number: number, scalar: Scalar<T>): Field<readonly T[]> {
  return {
    number,
    wireType: scalar.wireType,
    zero: [],
    read: (reader, previous) => {
      reader.countItem();
      return appended(previous, scalar.read(reader));
    },
    write: (writer, values) => {
      for (let i = values.length - 1; i >= 0; i--) {
        scalar.write(writer, values[i]!);
        writer.tag(number, scalar.wireType);
      }
    },
    toJson: (values) => values.map(scalar.toJson),
    fromJson: (json) => jsonArray(json).map(scalar.fromJson),
    toText: (text, name, values) => {
      for (const value of values) text.scalar(name, scalar.toText(value));
    },
  };
}

/** Numbers: written packed, as proto3 does, and read also one by one. */
function packedField<T>(number: number, scalar: Scalar<T>): Field<readonly T[]> {
  const list = listField(number, scalar);
  return {
    ...list,
    wireType: WIRE.BYTES,
    read: (reader, previous) => {
      let values = previous;
      for (const items = reader.nested(); !items.done;) values = list.read(items, values);
      return values;
    },
    otherWireType: scalar.wireType,
    readOther: list.read,
    write: (writer, values) => {
      if (values.length === 0) return;
      const before = writer.length;
      for (let i = values.length - 1; i >= 0; i--) scalar.write(writer, values[i]!);
      writer.uint32(writer.length - before);
      writer.tag(number, WIRE.BYTES);
    },
  };
}

/** One occurrence of a message, with its tag. */
export function writeNested<M>(writer: WireWriter, number: number, message: Message<M>, value: M): void {
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
