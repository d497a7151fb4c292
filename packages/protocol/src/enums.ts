// Enumerations of the protocol as string unions. Each table maps the name (used in code, JSON and YAML) to its
// number on the wire. A number that no table knows is refused when decoded: every enum here is validated as
// known anyway.

/** Status of a response. Travels in the response; the RPC itself is fine. */
export const STATUS = {
  OK: 0,
  JOURNAL_NOT_FOUND: 1,
  NO_JOURNAL_PRIMARY_BROKER: 2,
  NOT_JOURNAL_PRIMARY_BROKER: 3,
  INSUFFICIENT_JOURNAL_BROKERS: 4,
  NOT_JOURNAL_BROKER: 5,
  OFFSET_NOT_YET_AVAILABLE: 6,
  WRONG_ROUTE: 7,
  PROPOSAL_MISMATCH: 8,
  ETCD_TRANSACTION_FAILED: 9,
  NOT_ALLOWED: 10,
  WRONG_APPEND_OFFSET: 11,
  INDEX_HAS_GREATER_OFFSET: 12,
  REGISTER_MISMATCH: 13,
  SUSPENDED: 14,
  FRAGMENT_STORE_UNHEALTHY: 15,
} as const;
export type Status = keyof typeof STATUS;

/** How a fragment is compressed in its store. */
export const COMPRESSION_CODEC = {
  INVALID: 0,
  NONE: 1,
  GZIP: 2,
  ZSTANDARD: 3,
  SNAPPY: 4,
  GZIP_OFFLOAD_DECOMPRESSION: 5,
} as const;
export type CompressionCodec = keyof typeof COMPRESSION_CODEC;

/**
 * Access to a journal. The wire carries a uint32, so a spec may hold a number that is none of these until
 * validated.
 */
export const FLAG = { NOT_SPECIFIED: 0, O_RDONLY: 1, O_WRONLY: 2, O_RDWR: 4 } as const;
export type FlagName = keyof typeof FLAG;

/** NONE: not suspended. PARTIAL: one replica. FULL: no replica. */
export const SUSPEND_LEVEL = { NONE: 0, PARTIAL: 1, FULL: 2 } as const;
export type SuspendLevel = keyof typeof SUSPEND_LEVEL;

/** What an append does about a suspended journal, or asks to become of the journal. */
export const APPEND_SUSPEND = {
  SUSPEND_RESUME: 0,
  SUSPEND_NO_RESUME: 1,
  SUSPEND_IF_FLUSHED: 2,
  SUSPEND_NOW: 3,
  SUSPEND_KEEP: 4,
} as const;
export type AppendSuspend = keyof typeof APPEND_SUSPEND;
