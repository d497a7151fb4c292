// Whole messages to bytes, JSON values and prototext, and back.
import { ItemBudget } from "./item-budget.ts";
import type { Message } from "./message-table.ts";
import { ProtoText } from "./proto-text.ts";
import { WireReader } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** The protobuf encoding of `value`, byte for byte what Go writes. */
export function encode<M>(message: Message<M>, value: M): Uint8Array {
  const writer = new WireWriter();
  message.write(writer, value);
  return writer.finish();
}

/**
 * The message in `bytes`. Its byte fields share memory with `bytes`. Unknown fields are skipped.
 * @param budget of the items in it
 * @throws {WireError} INVALID_ARGUMENT that names the field; what `budget` refuses with
 */
export function decode<M>(message: Message<M>, bytes: Uint8Array, budget = new ItemBudget()): M {
  return message.read(new WireReader(bytes, 0, bytes.length, budget), message.zero);
}

/** Prototext of `value`. */
export function textOf<M>(message: Message<M>, value: M, layout: "compact" | "multiline"): string {
  const text = new ProtoText(layout);
  message.toText(text, value);
  return text.toString();
}

/** The codecs of one message as functions. */
export function codecs<M>(message: Message<M>): {
  readonly encode: (value: M) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => M;
} {
  return { encode: (value) => encode(message, value), decode: (bytes) => decode(message, bytes) };
}

/**
 * The JSON mappings of one message as functions. `fromJson` throws a WireError INVALID_ARGUMENT that names the
 * field.
 */
export function jsonCodecs<M>(message: Message<M>): {
  readonly toJson: (value: M) => unknown;
  readonly fromJson: (json: unknown) => M;
} {
  return { toJson: message.toJson, fromJson: message.fromJson };
}

/** A builder: the zero message with `fields` set. */
export function builder<M extends object>(message: Message<M>): (fields: Partial<M>) => M {
  return (fields) => ({ ...message.zero, ...fields });
}
