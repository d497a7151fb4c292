// Bounds of the coordination store, each with its reason.

/** Operations in one branch of a transaction, and compares: etcd's default (D26). */
export const TXN_OPS_MAX = 128;
/** Operations and compares of a transaction with all that is nested in it. */
export const TXN_TREE_OPS_MAX = 4 * TXN_OPS_MAX;
/** Bytes of one transaction: etcd's default of 1.5 MiB (D26). */
export const REQUEST_BYTES_MAX = 1.5 * 1024 * 1024;
/** What an operation or a compare counts beside its keys and value: about what protobuf adds. */
export const OP_OVERHEAD_BYTES = 16;
/** Seconds of a lease: etcd's bound. */
export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;
/** Users of the store: they are logged together, as one record. */
export const USERS_MAX = 1000;
export const USER_NAME_CHARS_MAX = 256;
/** Tokens of logged in users; the least recently used one goes first. */
export const AUTH_TOKENS_MAX = 10_000;
/** Passwords that are being hashed at a time, each for tens of milliseconds; more are refused. */
export const PASSWORDS_WAITING_MAX = 16;
/** Leases of other processes; a cluster has one a process. */
export const REMOTE_LEASES_MAX = 10_000;
/** Events after which a watch batch is full, once its revision is whole. */
export const WATCH_BATCH_EVENTS_MAX = 1000;
/** Bytes after which a watch batch is full, once its revision is whole. */
export const WATCH_BATCH_BYTES_MAX = 1024 * 1024;
/** Keys and values of one answer to an etcd client, which are in memory several times while it is made. */
export const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;
/** Watches of one stream: each looks at every event. */
export const STREAM_WATCHES_MAX = 10_000;
/** Answers about watches that wait in a stream; with more, its requests wait. */
export const STREAM_ANSWERS_MAX = 128;
/** Bytes of events in one message to a watcher who takes fragments; etcd's own bound is of that size. */
export const WATCH_FRAGMENT_BYTES = 1024 * 1024;
/** Answers to a stream in one turn of the event loop, before others get theirs. */
export const STREAM_TURN_ANSWERS = 16;
/** Transactions that may wait for the log; more are refused with OVERLOADED. */
export const PENDING_TXNS_MAX = 100_000;
/** Bytes of records that may wait for the log; more are refused with OVERLOADED. */
export const PENDING_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of a watch's answers that wait to be taken; beyond them etcd is stopped by flow control. */
export const WATCH_WAITING_BYTES_MAX = 4 * 1024 * 1024;
