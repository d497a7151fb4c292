// The coordination store as a port, in etcd's terms: a revisioned ordered map with transactions, leases and watches.
// The embedded store and (later) an etcd client implement it; one contract suite (testkit) holds for both.

/** Binary string: each char code is one byte (0..255), so that string order is byte order. See key.ts. */
export type Key = string;

export interface KeyValue {
  readonly key: Key;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** 1 at creation, one more at each put. */
  readonly version: number;
  /** 0n when none. */
  readonly lease: bigint;
}

export interface StoreHeader {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly raftTerm: bigint;
}

/**
 * `end` absent: the key alone. `end` = prefixEnd(key): all that start with key. `end` = "\0": everything from key on.
 */
export interface RangeRequest {
  readonly key: Key;
  readonly end?: Key;
  /** Read as of this revision; default the newest. */
  readonly revision?: number;
  readonly limit?: number;
  readonly countOnly?: boolean;
  readonly keysOnly?: boolean;
}

export interface RangeResponse {
  readonly header: StoreHeader;
  /** In key order. */
  readonly kvs: readonly KeyValue[];
  readonly count: number;
  readonly more: boolean;
}

export type CompareOp = "=" | "!=" | "<" | ">";
/**
 * With `end`: every key of the range must satisfy it, as etcd's range_end; `create < r` on a prefix says "no new keys
 * since r". A missing key, or a range without keys, has version, revisions and lease 0, and fails any compare of its
 * value.
 */
export type Compare = { readonly key: Key; readonly end?: Key; readonly op: CompareOp } & (
  | { readonly target: "version"; readonly version: number }
  | { readonly target: "create"; readonly revision: number }
  | { readonly target: "mod"; readonly revision: number }
  | { readonly target: "lease"; readonly lease: bigint }
  | { readonly target: "value"; readonly value: Uint8Array }
);

export type StoreOp =
  | {
      readonly kind: "put";
      readonly key: Key;
      readonly value: Uint8Array;
      readonly lease?: bigint;
      /** Keeps the lease that the key has; the key must exist. */
      readonly ignoreLease?: boolean;
    }
  | { readonly kind: "delete"; readonly key: Key; readonly end?: Key }
  | ({ readonly kind: "range" } & RangeRequest);

export type StoreOpResult =
  | { readonly kind: "put" }
  | { readonly kind: "delete"; readonly deleted: number }
  | ({ readonly kind: "range" } & RangeResponse);

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly StoreOp[];
  readonly failure?: readonly StoreOp[];
}

export interface TxnResponse {
  readonly header: StoreHeader;
  readonly succeeded: boolean;
  readonly results: readonly StoreOpResult[];
}

export interface StoreEvent {
  readonly kind: "put" | "delete";
  /** For a delete: the key, its modRevision the revision of the deletion, an empty value. */
  readonly kv: KeyValue;
}

/**
 * All events of one or more revisions, whole revisions only, in order; no events = progress. The watcher has seen all
 * of its range up to `header.revision`.
 */
export interface WatchBatch {
  readonly header: StoreHeader;
  readonly events: readonly StoreEvent[];
}

export interface WatchRequest {
  readonly key: Key;
  readonly end?: Key;
  /** First revision wanted; default the one after now. */
  readonly fromRevision?: number;
  /** Also yield batches without events, to tell how far the store has come. */
  readonly progress?: boolean;
}

/**
 * A transaction is durable when its promise resolves. Limits (D26): 128 operations, 1.5 MiB a request.
 * WireErrors: INVALID_ARGUMENT (limits, duplicate key in one transaction, a future revision), COMPACTED (a revision
 * that is gone), NOT_FOUND (lease), DISK_FULL, OUTCOME_UNKNOWN (may or may not have happened), UNAVAILABLE.
 */
export interface CoordinationStore {
  range(request: RangeRequest, signal: AbortSignal): Promise<RangeResponse>;
  txn(request: TxnRequest, signal: AbortSignal): Promise<TxnResponse>;
  /** Yields from `fromRevision` on until `signal` aborts (then it ends). @throws {WireError} COMPACTED */
  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch>;
  /** @param ttlSeconds integer in [1, 9_000_000_000] @returns the id, never 0n */
  grantLease(ttlSeconds: number, signal: AbortSignal): Promise<bigint>;
  /** Renews the lease once. @returns seconds until it ends @throws {WireError} NOT_FOUND when it has ended */
  keepAlive(lease: bigint, signal: AbortSignal): Promise<number>;
  /** Ends the lease and deletes its keys. @throws {WireError} NOT_FOUND */
  revokeLease(lease: bigint, signal: AbortSignal): Promise<void>;
  /** Forgets revisions below `revision`. */
  compact(revision: number, signal: AbortSignal): Promise<void>;
}
