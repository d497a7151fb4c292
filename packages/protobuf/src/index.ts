export {
  message,
  mapped,
  named,
  recursive,
  type Field,
  type Fields,
  type Message,
  type MessageOptions,
} from "./message-table.ts";
export {
  binary,
  bool,
  bytes,
  bytesList,
  double,
  doubles,
  enumeration,
  enumerations,
  exactInt64,
  fixed32,
  fixed64,
  fixed64Hex,
  fixed64s,
  hexId,
  int32,
  int64,
  nested,
  extension,
  openEnumeration,
  optional,
  optionalBytes,
  present,
  repeated,
  sint32,
  string,
  strings,
  uint32,
  uint64,
  uint64s,
  wideInt64,
} from "./message-fields.ts";
export { builder, codecs, decode, encode, jsonCodecs, textOf } from "./wire-codec.ts";
export { ItemBudget } from "./item-budget.ts";
export { Unopened, unopened, unopenedOne } from "./unopened.ts";
export { WIRE, WireReader } from "./wire-reader.ts";
export { WireWriter } from "./wire-writer.ts";
export { isJsonObject, jsonArray, jsonString } from "./json-value.ts";
export { quoteBytes } from "./proto-text.ts";
export {
  inContext,
  invalid,
  UnknownValueError,
  ValidationError,
  within,
  withinEach,
} from "./validation-error.ts";
export { DECODED_ITEMS_MAX, NESTED_MESSAGES_MAX, SKIPPED_GROUPS_MAX } from "./limits.ts";
