// The committed vectors of the store's formats. A line is never changed or deleted: a new format gets new lines.
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { hex, unhex, utf8, WireError } from "@millrace/base";
import fc from "fast-check";
import { Mvcc } from "./mvcc.ts";
import { decodeBatch, encodeBatch } from "./record-codec.ts";
import type { StoreRecord } from "./records.ts";
import { encodeSnapshot, SnapshotDecoder } from "./snapshot-codec.ts";

const golden = new Map(
  readFileSync(new URL("../src/formats.golden.txt", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(" ") as [string, string]),
);

const life: readonly StoreRecord[] = [
  { kind: "created", clusterId: 0x1122334455667788n, memberId: 0xff00000000000001n },
  { kind: "started", raftTerm: 1n },
  { kind: "lease-granted", lease: 0x7fffffffffffffffn, ttlSeconds: 20, owner: "process" },
  { kind: "lease-granted", lease: 2n, ttlSeconds: 9_000_000_000, owner: "remote" },
  {
    kind: "txn",
    revision: 2,
    writes: [
      { kind: "put", key: "a/1", value: utf8("one"), lease: 0n },
      { kind: "put", key: "a/\xff", value: new Uint8Array(0), lease: 2n },
    ],
  },
  {
    kind: "txn",
    revision: 3,
    writes: [
      { kind: "delete", key: "a/1" },
      { kind: "put", key: "b", value: new Uint8Array(200), lease: 0x7fffffffffffffffn },
    ],
  },
  { kind: "compacted", revision: 2 },
  { kind: "txn", revision: 4, writes: [{ kind: "delete", key: "a", end: "b" }] },
  { kind: "lease-revoked", lease: 2n, revision: 4 },
];

function stateOf(records: readonly StoreRecord[]): Mvcc {
  const state = new Mvcc();
  for (const record of records) state.replay(record);
  return state;
}

function restore(chunks: Iterable<Uint8Array>): Mvcc {
  const state = new Mvcc();
  const decoder = new SnapshotDecoder(state);
  for (const chunk of chunks) decoder.push(chunk);
  decoder.end();
  return state;
}

function snapshotOf(state: Mvcc): Uint8Array[] {
  return [
    ...encodeSnapshot(state, {
      leases: [...state.leases.values()],
      auth: state.auth,
      revision: state.revision,
    }),
  ];
}

const bytesOf = (name: string): Uint8Array => unhex(golden.get(name)!)!;

test("log format 1: one batch of every record -> the golden bytes, and back", () => {
  equal(hex(encodeBatch(life)), golden.get("batch-1"));
  deepEqual(decodeBatch(bytesOf("batch-1")), life);
});

test("checkpoint format 1: -> the golden chunks, and back", () => {
  const state = stateOf(life);
  const chunks = snapshotOf(state);
  deepEqual(
    chunks.map(hex),
    ["head", "keys", "revisions", "end"].map((name) => golden.get(`checkpoint-1-${name}`)),
  );
  const restored = restore(chunks);
  equal(restored.revision, 4);
  equal(restored.compactRevision, 2);
  equal(restored.raftTerm, 1n);
  equal(restored.clusterId, 0x1122334455667788n);
  deepEqual([...restored.leases.keys()], [0x7fffffffffffffffn]);
  deepEqual(snapshotOf(restored).map(hex), chunks.map(hex));
});

const users: StoreRecord = {
  kind: "auth-changed",
  auth: {
    enabled: true,
    revision: 7,
    hasRootRole: true,
    users: [
      { name: "nobody", password: undefined, isRoot: false },
      { name: "r\u00f6\u00f6t", password: { salt: utf8("salt"), hash: utf8("hash") }, isRoot: true },
    ],
  },
};

test("log format 2: users -> the golden bytes, and back", () => {
  equal(hex(encodeBatch([users])), golden.get("batch-2"));
  deepEqual(decodeBatch(bytesOf("batch-2")), [users]);
});

test("checkpoint format 1 with users -> a chunk of version 2 behind the head, and back", () => {
  const state = stateOf([...life, users]);
  const [head, auth, ...rest] = snapshotOf(state).map(hex);
  equal(auth, golden.get("checkpoint-2-auth"));
  equal(head, golden.get("checkpoint-1-head"));
  deepEqual(restore([bytesOf("checkpoint-1-head"), unhex(auth!)!, ...rest.map((one) => unhex(one)!)]).auth, {
    ...state.auth,
  });
  throws(() => restore([unhex(auth!)!, unhex(head!)!]), { code: "CORRUPT" });
});

test("formats: a newer version -> refused by name", () => {
  const batch = bytesOf("batch-1");
  batch[0] = 3;
  throws(() => decodeBatch(batch), { code: "CORRUPT", message: /format version 3, known are 1 and 2/ });
  const head = bytesOf("checkpoint-1-head");
  head[0] = 2;
  throws(() => restore([head]), { code: "CORRUPT", message: /format version 2, known is 1/ });
});

test("checkpoint: a missing, doubled or misplaced chunk -> CORRUPT", () => {
  const [head, keys, revisions, end] = ["head", "keys", "revisions", "end"].map((name) =>
    bytesOf(`checkpoint-1-${name}`),
  ) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  for (const chunks of [
    [head],
    [keys, revisions, end],
    [head, keys, revisions],
    [head, revisions, end],
    [head, keys, end],
    [head, head, keys, revisions, end],
    [head, revisions, keys, end],
    [head, keys, revisions, end, end],
  ]) {
    throws(() => restore(chunks), { code: "CORRUPT" });
  }
});

test("formats: any cut, any flipped byte, any bytes -> CORRUPT or a decoded value, never anything else", () => {
  for (const batch of [bytesOf("batch-1"), bytesOf("batch-2")]) {
    for (let length = 0; length < batch.length; length++)
      onlyCorrupt(() => decodeBatch(batch.subarray(0, length)));
    for (let at = 0; at < batch.length; at++) {
      const flipped = batch.slice();
      flipped[at] = flipped[at]! ^ 0x81;
      onlyCorrupt(() => decodeBatch(flipped));
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      onlyCorrupt(() => decodeBatch(Uint8Array.of(1, ...bytes)));
    }),
  );
});

function onlyCorrupt(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    ok(error instanceof WireError && error.code === "CORRUPT", String(error));
  }
}
