// What the messages of all signals hold: attributes and their values, where data comes from, what made it.
import {
  type Fields,
  type Message,
  message,
  type MessageOptions,
  optional,
  present,
  recursive,
  repeated,
  string,
} from "@millrace/protobuf";

/** A message of OTLP: it grows, so names that are not known are skipped in JSON too. */
export function otlpMessage<M extends object>(
  fields: Fields<M>,
  oneofs: MessageOptions<M>["oneofs"] = [],
): Message<M> {
  return message(fields, { oneofs, unknownJson: "ignore" });
}

/** At most one of them; none is a value too. */
export interface AnyValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: bigint;
  readonly doubleValue?: number;
  readonly arrayValue?: ArrayValue;
  readonly kvlistValue?: KeyValueList;
  readonly bytesValue?: Uint8Array;
}

interface ArrayValue {
  readonly values: readonly AnyValue[];
}

interface KeyValueList {
  readonly values: readonly KeyValue[];
}

export interface KeyValue {
  readonly key: string;
  readonly value?: AnyValue;
}

const anyValueLater = recursive<AnyValue>(() => anyValue);
const arrayValue = otlpMessage<ArrayValue>({ values: repeated(1, anyValueLater) });
export const keyValue = otlpMessage<KeyValue>({ key: string(1), value: optional(2, anyValueLater) });
const keyValueList = otlpMessage<KeyValueList>({ values: repeated(1, keyValue) });

export const anyValue: Message<AnyValue> = otlpMessage<AnyValue>(
  {
    stringValue: present.string(1),
    boolValue: present.bool(2),
    intValue: present.exactInt64(3),
    doubleValue: present.double(4),
    arrayValue: optional(5, arrayValue),
    kvlistValue: optional(6, keyValueList),
    bytesValue: present.bytes(7),
  },
  [["stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue", "bytesValue"]],
);

export interface Resource {
  readonly attributes: readonly KeyValue[];
}
export const resource = otlpMessage<Resource>({ attributes: repeated(1, keyValue) });

export interface Scope {
  readonly name: string;
  readonly version: string;
}
export const scope = otlpMessage<Scope>({ name: string(1), version: string(2) });

/** Bytes of ids (W3C Trace Context). */
export const TRACE_ID_BYTES = 16;
export const SPAN_ID_BYTES = 8;
