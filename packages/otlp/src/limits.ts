// Bounds of what a request may become. Its bytes are bounded by the door that received them.

/** Values of a JSON request: they take many times the memory of their text. A log record has some 20. */
export const JSON_VALUES_MAX = 1 << 21;

/**
 * Arrays and objects inside each other in a JSON request. An array in an attribute takes three; protobuf's own bound,
 * 64 messages, allows about as many of them.
 */
export const JSON_NESTED_MAX = 100;

/**
 * Items in one record, data point or resource: attributes, values in lists, buckets, events. Others wait while they are
 * read, some microseconds for each. SDKs have at most 128 attributes unless told otherwise.
 */
export const PART_ITEMS_MAX = 10_000;

/** The same in JSON: an attribute has itself, its key, its value, and what is in that. */
export const JSON_VALUES_AN_ITEM = 4;

/** Items of all parts, and the parts. */
export const REQUEST_ITEMS_MAX = 1 << 20;

/** Members of one object: messages have at most 17 that are known. */
export const JSON_MEMBERS_MAX = 10_000;

/** Digits of an integer in JSON; a 64-bit one has 20. What is longer is read as a double, as JSON.parse does. */
export const JSON_INTEGER_CHARS_MAX = 21;

export interface FlattenLimits {
  /** Records of a request. */
  readonly recordsMax: number;
  /** Bytes of all records together: each repeats its resource, scope and metric. */
  readonly bytesMax: number;
}

/** Exporters send a few thousand at a time. The bytes are those that the door may hold of large bodies four times. */
export const FLATTEN_LIMITS: FlattenLimits = { recordsMax: 100_000, bytesMax: 64 * 1024 * 1024 };

/** Of the first error in a response: headers and messages of peers have limits of their own. */
export const FIRST_ERROR_CHARS_MAX = 1000;
