// fast-check arbitraries of every message, in the domain that survives a round trip: well-formed strings, safe
// integers, content that is not empty. Validity is not asked for.
import fc from "fast-check";
import { APPEND_SUSPEND, COMPRESSION_CODEC, STATUS, SUSPEND_LEVEL } from "./enums.ts";
import { HOLD_OUTCOME, HOLD_WANTS } from "./holder-message.ts";

const text = fc.string({ unit: "binary", maxLength: 12 });
const int64 = fc.maxSafeInteger();
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const int32 = fc.integer();
const uint32 = fc.nat(2 ** 32 - 1);
const content = fc.uint8Array({ minLength: 1, maxLength: 300 });

/** Milliseconds with whole nanoseconds below 100 days, whole microseconds beyond. */
export const durationMs = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 }),
  fc.tuple(fc.nat(8_000_000_000), fc.nat(999_999)).map(([ms, nanos]) => ms + nanos / 1e6),
  fc.tuple(fc.nat(9e12), fc.nat(999)).map(([ms, micros]) => ms + micros / 1e3),
);

function oneOf<E extends string>(table: Readonly<Record<E, number>>): fc.Arbitrary<E> {
  return fc.constantFrom(...(Object.keys(table) as E[]));
}

/** Like fc.record, with an ordinary prototype: what is decoded has one. */
function object<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(fields, { noNullPrototype: true });
}

/** An object whose `optional` keys may be missing. */
function record<A, B>(
  required: { [K in keyof A]: fc.Arbitrary<A[K]> },
  optional: { [K in keyof B]: fc.Arbitrary<B[K]> },
): fc.Arbitrary<A & Partial<B>> {
  const some = fc.record(optional, { requiredKeys: [], noNullPrototype: true }) as fc.Arbitrary<Partial<B>>;
  return fc.tuple(object<A>(required), some).map(([always, sometimes]) => ({ ...always, ...sometimes }));
}

const label = object({ name: text, value: text, prefix: fc.boolean() });
export const labelSet = object({ labels: fc.array(label, { maxLength: 4 }) });
const selector = object({ include: labelSet, exclude: labelSet });
const processId = object({ zone: text, suffix: text });
export const route = object({
  members: fc.array(processId, { maxLength: 3 }),
  primary: int32,
  endpoints: fc.array(text, { maxLength: 3 }),
});
const etcd = object({ clusterId: uint64, memberId: uint64, revision: int64, raftTerm: uint64 });
const header = object({ processId, route, etcd });
export const brokerSpec = object({
  id: processId,
  endpoint: text,
  journalLimit: uint32,
  exiting: fc.boolean(),
  holder: fc.string(),
});
export const sha1 = fc.stringMatching(/^[0-9a-f]{40}$/);

export const fragment = object({
  journal: text,
  begin: int64,
  end: int64,
  sum: sha1,
  compressionCodec: oneOf(COMPRESSION_CODEC),
  backingStore: text,
  modTime: int64,
  pathPostfix: text,
});

export const journalSpec = record(
  {
    name: text,
    replication: int32,
    labels: labelSet,
    fragment: object({
      length: int64,
      compressionCodec: oneOf(COMPRESSION_CODEC),
      stores: fc.array(text, { maxLength: 3 }),
      refreshIntervalMs: durationMs,
      retentionMs: durationMs,
      flushIntervalMs: durationMs,
      pathPostfixTemplate: text,
    }),
    flags: uint32,
    maxAppendRate: int64,
  },
  { suspend: object({ level: oneOf(SUSPEND_LEVEL), offset: int64 }) },
);

const status = oneOf(STATUS);

export const readRequest = record(
  {
    journal: text,
    offset: int64,
    block: fc.boolean(),
    doNotProxy: fc.boolean(),
    metadataOnly: fc.boolean(),
    endOffset: int64,
    beginModTime: int64,
    minEtcdRevision: int64,
  },
  { header, awaitsResume: fc.boolean() },
);

export const readResponse = record(
  { status, offset: int64, writeHead: int64, fragmentUrl: text },
  { header, fragment, content },
);

export const appendRequest = record(
  {
    journal: text,
    doNotProxy: fc.boolean(),
    offset: int64,
    suspend: oneOf(APPEND_SUSPEND),
    minEtcdRevision: int64,
  },
  { header, content, checkRegisters: selector, unionRegisters: labelSet, subtractRegisters: labelSet },
);

export const appendResponse = record(
  { status, header, totalChunks: int64, delayedChunks: int64, storeHealthError: text },
  { commit: fragment, registers: labelSet },
);

export const replicateRequest = record(
  {
    deprecatedJournal: text,
    contentDelta: int64,
    acknowledge: fc.boolean(),
    epoch: int64,
    stream: int64,
    confirmed: int64,
    commit: int64,
    checksum: fc.nat(2 ** 32 - 1),
    rollback: fc.boolean(),
    early: fc.boolean(),
    appends: int64,
  },
  { header, proposal: fragment, content, registers: labelSet },
);

export const replicateResponse = record({ status, synced: int64 }, { header, fragment, registers: labelSet });

const range = object({ begin: int64, end: int64 });

export const holdRequest = record(
  {
    journal: text,
    createRevision: int64,
    header,
    epoch: int64,
    stream: int64,
    wants: oneOf(HOLD_WANTS),
    begin: int64,
    end: int64,
    registers: labelSet,
  },
  { source: object({ id: processId, endpoint: text }) },
);

export const holdResponse = record(
  {
    outcome: oneOf(HOLD_OUTCOME),
    base: int64,
    confirmed: int64,
    end: int64,
    registers: labelSet,
    sure: fc.array(range, { maxLength: 3 }),
    isUnsure: fc.boolean(),
    whole: int64,
    found: int64,
  },
  { header },
);

export const fetchRequest = object({ journal: text, createRevision: int64, begin: int64, end: int64 });

export const listRequest = record({ selector, watch: fc.boolean() }, { watchResume: header });

const acknowledgement = object({ level: text, minReplicas: int64, isReduced: fc.boolean() });

export const listResponse = object({
  status,
  header,
  journals: fc.array(
    record({ spec: journalSpec, modRevision: int64, route, createRevision: int64 }, { acknowledgement }),
    { maxLength: 3 },
  ),
});

export const applyRequest = object({
  changes: fc.array(record({ expectModRevision: int64, delete: text }, { upsert: journalSpec }), {
    maxLength: 3,
  }),
});

export const applyResponse = object({ status, header });

export const fragmentsRequest = record(
  {
    journal: text,
    beginModTime: int64,
    endModTime: int64,
    nextPageToken: int64,
    pageLimit: int32,
    doNotProxy: fc.boolean(),
  },
  { header, signatureTtlMs: durationMs },
);

export const fragmentsResponse = object({
  status,
  header,
  fragments: fc.array(object({ spec: fragment, signedUrl: text }), { maxLength: 3 }),
  nextPageToken: int64,
});

export const healthRequest = object({
  fragmentStore: text,
  checkDelete: fc.boolean(),
  checkDeletePrefix: text,
});
export const healthResponse = object({ status, header, storeHealthError: text });
