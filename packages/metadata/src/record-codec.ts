// The log's format, version 1. One batch is what the store has synced together:
//   batch   = version u8 (1), record…
//   record  = kind u8, fields
//     1 created        clusterId u64, memberId u64
//     2 started        raftTerm u64
//     3 txn            revision uint, count uint, write…
//     4 lease-granted  lease u64, ttlSeconds uint, owner u8 (0 process, 1 remote)
//     5 lease-revoked  lease u64, revision uint
//     6 compacted      revision uint
//   write   = 0 put    key bytes, value bytes, lease u64
//             1 delete key bytes
//             2 delete key bytes, end bytes
// uint and bytes as in binary.ts. Sums and lengths of batches are the log's business.
import { assert, unreachable } from "@millrace/base";
import { ByteReader, ByteWriter } from "./binary.ts";
import type { LeaseOwner, StoreRecord, Write } from "./records.ts";

const VERSION = 1;
const KIND = {
  created: 1,
  started: 2,
  txn: 3,
  "lease-granted": 4,
  "lease-revoked": 5,
  compacted: 6,
} as const;
const OWNERS: readonly LeaseOwner[] = ["process", "remote"];

/** Bytes that a record takes at most, but for what uint saves. */
export function recordBytesBound(record: StoreRecord): number {
  let bytes = 32;
  if (record.kind !== "txn") return bytes;
  for (const write of record.writes) {
    bytes += 32 + write.key.length;
    bytes += write.kind === "put" ? write.value.length : (write.end?.length ?? 0);
  }
  return bytes;
}

export function encodeBatch(records: readonly StoreRecord[]): Uint8Array {
  let bound = 1;
  for (const record of records) bound += recordBytesBound(record);
  const to = new ByteWriter(bound);
  to.u8(VERSION);
  for (const record of records) encodeRecord(to, record);
  return to.finish();
}

/** @throws {WireError} CORRUPT */
export function decodeBatch(bytes: Uint8Array): readonly StoreRecord[] {
  const from = new ByteReader("a batch of the coordination log", bytes);
  const version = from.u8();
  if (version !== VERSION) throw from.corrupt(`has format version ${version}, known is ${VERSION}`);
  const records: StoreRecord[] = [];
  while (!from.isAtEnd) records.push(decodeRecord(from));
  return records;
}

function encodeRecord(to: ByteWriter, record: StoreRecord): void {
  to.u8(KIND[record.kind]);
  switch (record.kind) {
    case "created":
      to.u64(record.clusterId);
      to.u64(record.memberId);
      return;
    case "started":
      to.u64(record.raftTerm);
      return;
    case "txn":
      to.uint(record.revision);
      to.uint(record.writes.length);
      for (const write of record.writes) encodeWrite(to, write);
      return;
    case "lease-granted":
      to.u64(record.lease);
      to.uint(record.ttlSeconds);
      to.u8(encodeOwner(record.owner));
      return;
    case "lease-revoked":
      to.u64(record.lease);
      to.uint(record.revision);
      return;
    case "compacted":
      to.uint(record.revision);
      return;
    default:
      unreachable(record);
  }
}

function decodeRecord(from: ByteReader): StoreRecord {
  const kind = from.u8();
  switch (kind) {
    case KIND.created:
      return { kind: "created", clusterId: from.u64(), memberId: from.u64() };
    case KIND.started:
      return { kind: "started", raftTerm: from.u64() };
    case KIND.txn: {
      const revision = from.uint();
      const count = from.uint();
      const writes: Write[] = [];
      for (let i = 0; i < count; i++) writes.push(decodeWrite(from));
      return { kind: "txn", revision, writes };
    }
    case KIND["lease-granted"]:
      return { kind: "lease-granted", lease: from.u64(), ttlSeconds: from.uint(), owner: decodeOwner(from) };
    case KIND["lease-revoked"]:
      return { kind: "lease-revoked", lease: from.u64(), revision: from.uint() };
    case KIND.compacted:
      return { kind: "compacted", revision: from.uint() };
    default:
      throw from.corrupt(`holds an unknown record kind ${kind}`);
  }
}

function encodeWrite(to: ByteWriter, write: Write): void {
  if (write.kind === "put") {
    to.u8(0);
    to.key(write.key);
    to.bytes(write.value);
    to.u64(write.lease);
    return;
  }
  to.u8(write.end === undefined ? 1 : 2);
  to.key(write.key);
  if (write.end !== undefined) to.key(write.end);
}

function decodeWrite(from: ByteReader): Write {
  const kind = from.u8();
  if (kind === 0) return { kind: "put", key: from.key(), value: from.bytes(), lease: from.u64() };
  if (kind === 1) return { kind: "delete", key: from.key() };
  if (kind === 2) return { kind: "delete", key: from.key(), end: from.key() };
  throw from.corrupt(`holds an unknown write kind ${kind}`);
}

export function encodeOwner(owner: LeaseOwner): number {
  const code = OWNERS.indexOf(owner);
  assert(code >= 0, "a lease owner is known", { owner });
  return code;
}

export function decodeOwner(from: ByteReader): LeaseOwner {
  const code = from.u8();
  const owner = OWNERS[code];
  if (owner === undefined) throw from.corrupt(`holds an unknown lease owner ${code}`);
  return owner;
}
