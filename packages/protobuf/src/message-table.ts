// Tables that say what a message looks like: one typed row for each property of its interface. The codecs for
// protobuf, JSON and prototext all walk the same table, so they cannot disagree. TypeScript checks that no
// property is missing and that each row reads and writes the property's type.
//
// T1  A row's `zero` is what an absent field means; rows of optional properties have `zero` undefined.
// T2  Rows are written in descending field number, because WireWriter goes backwards; the bytes then ascend, as
//     Go's do.
// T3  A message that occurs twice is merged and a repeated field appended to, as protobuf demands.
// T4  Of the properties of a oneof at most one is there: the last one that was read.
import { assert } from "@millrace/base";
import { isJsonObject } from "./json-value.ts";
import type { ProtoText } from "./proto-text.ts";
import { inContext, invalid, UnknownValueError } from "./validation-error.ts";
import type { WireReader } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

/** One row: how a property of type T is carried. Function properties, so that T is checked both ways. */
export interface Field<T> {
  readonly number: number;
  /** Name in the .proto when it is not the property in snake_case. */
  readonly protoName?: string;
  readonly wireType: number;
  /** Another wire type that `readOther` reads: numbers of a repeated field may come one by one or packed. */
  readonly otherWireType?: number;
  readonly readOther?: (reader: WireReader, previous: T) => T;
  readonly zero: T;
  /** Reads the value of one occurrence. `previous`: what earlier occurrences gave, else `zero`. */
  readonly read: (reader: WireReader, previous: T) => T;
  /** Writes all occurrences with their tags, or nothing. */
  readonly write: (writer: WireWriter, value: T) => void;
  readonly toJson: (value: T) => unknown;
  readonly fromJson: (json: unknown) => T;
  readonly toText: (text: ProtoText, name: string, value: T) => void;
}

export type Fields<M> = { readonly [K in keyof M]-?: Field<M[K]> };

/** How a message is carried. */
export interface Message<M> {
  readonly zero: M;
  /** Reads to the end of `reader`, over what `previous` has. */
  readonly read: (reader: WireReader, previous: M) => M;
  readonly write: (writer: WireWriter, value: M) => void;
  readonly toJson: (value: M) => unknown;
  readonly fromJson: (json: unknown) => M;
  readonly toText: (text: ProtoText, value: M) => void;
}

export interface MessageOptions<M> {
  /** Groups of properties of which at most one is there. Their rows are `optional` and `present` ones. */
  readonly oneofs?: readonly (readonly (keyof M)[])[];
  /** What becomes of a name in JSON that the table has not. Default: refused. */
  readonly unknownJson?: "refuse" | "ignore";
}

/** The codec of a message from its table. */
export function message<M extends object>(fields: Fields<M>, options: MessageOptions<M> = {}): Message<M> {
  const rows = rowsOf(fields, options.oneofs ?? []);
  const byNumber = new Map(rows.map((row) => [row.field.number, row]));
  assert(byNumber.size === rows.length, "field numbers of a message are distinct");
  const byJsonName = new Map(
    rows.flatMap((row) => [[row.protoName, row] as const, [row.jsonName, row] as const]),
  );
  const descending = [...rows].sort((a, b) => b.field.number - a.field.number);
  const zero = assemble(rows, new Map());
  return {
    zero,
    read: (reader, previous) => readMessage(byNumber, reader, previous),
    write: (writer, value) => {
      for (const row of descending) row.field.write(writer, value[row.key]);
    },
    toJson: (value) => {
      const fields = rows.map((row) => [row.jsonName, row.field.toJson(value[row.key])] as const);
      return Object.fromEntries(fields.filter(([, json]) => json !== undefined));
    },
    fromJson: (json) => messageFromJson(rows, byJsonName, json, options.unknownJson ?? "refuse"),
    toText: (text, value) => {
      for (const row of rows) row.field.toText(text, row.protoName, value[row.key]);
    },
  };
}

/** A message with another shape in memory than on the wire. */
export function mapped<Wire, M>(
  wire: Message<Wire>,
  toWire: (value: M) => Wire,
  fromWire: (wire: Wire) => M,
): Message<M> {
  return {
    zero: fromWire(wire.zero),
    read: (reader, previous) => fromWire(wire.read(reader, toWire(previous))),
    write: (writer, value) => wire.write(writer, toWire(value)),
    toJson: (value) => wire.toJson(toWire(value)),
    fromJson: (json) => fromWire(wire.fromJson(json)),
    toText: (text, value) => wire.toText(text, toWire(value)),
  };
}

/** A message that holds its own kind: `of` is called when it is used, when the table exists. */
export function recursive<M>(of: () => Message<M>): Message<M> {
  return {
    get zero() {
      return of().zero;
    },
    read: (reader, previous) => of().read(reader, previous),
    write: (writer, value) => of().write(writer, value),
    toJson: (value) => of().toJson(value),
    fromJson: (json) => of().fromJson(json),
    toText: (text, value) => of().toText(text, value),
  };
}

/** `field` under another name in the .proto. */
export function named<T>(protoName: string, field: Field<T>): Field<T> {
  return { ...field, protoName };
}

interface Row<M, K extends keyof M = keyof M> {
  readonly key: K;
  readonly protoName: string;
  readonly jsonName: string;
  readonly field: Field<M[K]>;
  /** The other properties of its oneof. */
  readonly rivals: readonly (keyof M)[];
}

function rowsOf<M extends object>(fields: Fields<M>, oneofs: readonly (readonly (keyof M)[])[]): Row<M>[] {
  // Object.keys cannot know that M has no other keys; a literal table typed Fields<M> has none.
  const keys = Object.keys(fields) as (keyof M & string)[];
  return keys
    .map((key): Row<M> => {
      const field = fields[key];
      const protoName = field.protoName ?? key.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
      const jsonName = protoName.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
      const rivals = oneofs.find((group) => group.includes(key))?.filter((other) => other !== key) ?? [];
      return { key, protoName, jsonName, field: field as Field<M[keyof M]>, rivals };
    })
    .sort((a, b) => a.field.number - b.field.number);
}

function readMessage<M extends object>(
  rows: ReadonlyMap<number, Row<M>>,
  reader: WireReader,
  previous: M,
): M {
  const result = { ...previous };
  while (!reader.done) {
    const tag = reader.tag();
    const row = rows.get(tag >>> 3);
    if (row === undefined) {
      reader.skip(tag);
      continue;
    }
    try {
      const { field } = row;
      const wireType = tag & 7;
      const read = wireType === field.wireType ? field.read : otherRead(field, wireType);
      const before = result[row.key];
      result[row.key] = read(reader, before === undefined ? field.zero : before);
      for (const rival of row.rivals) if (result[rival] !== undefined) delete result[rival]; // T4
    } catch (thrown) {
      const isUnknown = thrown instanceof UnknownValueError;
      throw inContext(isUnknown ? goName(row.jsonName, result[row.key]) : row.protoName, thrown);
    }
  }
  return result;
}

/** What Go calls the property. @param before what it has: the next item of a list is meant */
function goName(jsonName: string, before: unknown): string {
  const name = jsonName[0]!.toUpperCase() + jsonName.slice(1);
  return Array.isArray(before) ? `${name}[${before.length}]` : name;
}

function otherRead<T>(field: Field<T>, wireType: number): Field<T>["read"] {
  if (field.readOther !== undefined && wireType === field.otherWireType) return field.readOther;
  return invalid(`wrong wire type (${wireType}; expected ${field.wireType})`);
}

function messageFromJson<M extends object>(
  rows: readonly Row<M>[],
  byName: ReadonlyMap<string, Row<M>>,
  json: unknown,
  unknown: "refuse" | "ignore",
): M {
  if (!isJsonObject(json)) return invalid("expected a JSON object");
  const values = new Map<Row<M>, M[keyof M]>();
  for (const [name, value] of Object.entries(json)) {
    const row = byName.get(name);
    if (row === undefined) {
      if (unknown === "ignore") continue;
      return invalid(`unknown field ${JSON.stringify(name)}`);
    }
    if (values.has(row)) return invalid(`field ${JSON.stringify(row.jsonName)} is given twice`);
    try {
      values.set(row, value === null ? row.field.zero : row.field.fromJson(value));
    } catch (thrown) {
      throw inContext(row.jsonName, thrown);
    }
    const isThere = (rival: keyof M): boolean =>
      rows.some((other) => other.key === rival && values.get(other) !== undefined);
    if (value !== null && row.rivals.some(isThere)) return invalid("more than one value of a oneof");
  }
  return assemble(rows, values);
}

/** The message with these values, zero for the others; keys of absent optional properties are left out. */
function assemble<M extends object>(rows: readonly Row<M>[], values: ReadonlyMap<Row<M>, M[keyof M]>): M {
  const result: Partial<M> = {};
  for (const row of rows) {
    const value = values.has(row) ? values.get(row) : row.field.zero;
    if (value !== undefined) result[row.key] = value;
  }
  return result as M; // T1: every required property has a row, whose zero is not undefined.
}
