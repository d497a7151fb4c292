// Bounds of what is decoded.

/**
 * Items of repeated fields in one decoded message. A listing of 100,000 journals with 3 brokers needs 900,000.
 */
export const DECODED_ITEMS_MAX = 1 << 20;
/** Messages inside each other: a message that holds its own kind (etcd's transactions) could nest without end. */
export const NESTED_MESSAGES_MAX = 64;
/** Nesting of groups in unknown fields that are skipped. */
export const SKIPPED_GROUPS_MAX = 32;
