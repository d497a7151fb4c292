// Bounds of the coordination store, each with its reason.

/** Operations in one branch of a transaction, and compares: etcd's default (D26). */
export const TXN_OPS_MAX = 128;
/** Bytes of one transaction: etcd's default of 1.5 MiB (D26). */
export const REQUEST_BYTES_MAX = 1.5 * 1024 * 1024;
/** What an operation or a compare counts beside its keys and value: about what protobuf adds. */
export const OP_OVERHEAD_BYTES = 16;
/** Seconds of a lease: etcd's bound. */
export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;
/** Events after which a watch batch is full, once its revision is whole. */
export const WATCH_BATCH_EVENTS_MAX = 1000;
/** Bytes after which a watch batch is full, once its revision is whole. */
export const WATCH_BATCH_BYTES_MAX = 1024 * 1024;
/** Transactions that may wait for the log; more are refused with OVERLOADED. */
export const PENDING_TXNS_MAX = 100_000;
/** Bytes of records that may wait for the log; more are refused with OVERLOADED. */
export const PENDING_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of a watch's answers that wait to be taken; beyond them etcd is stopped by flow control. */
export const WATCH_WAITING_BYTES_MAX = 4 * 1024 * 1024;
