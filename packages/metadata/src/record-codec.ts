// The log's format, versions 1 and 2. One batch is what the store has synced together; it has version 2 when it holds a
// record that version 1 did not know, so that a store which never had users is readable by programs that know only 1.
//   batch   = version u8 (1 or 2), record…
//   record  = kind u8, fields
//     1 created        clusterId u64, memberId u64
//     2 started        raftTerm u64
//     3 txn            revision uint, count uint, write…
//     4 lease-granted  lease u64, ttlSeconds uint, owner u8 (0 process, 1 remote)
//     5 lease-revoked  lease u64, revision uint
//     6 compacted      revision uint
//     7 auth-changed   auth (version 2)
//   auth    = flags u8 (1 enabled, 2 root role), revision uint, count uint, user…
//   user    = name bytes (UTF-8), flags u8 (1 password, 2 root), and with a password: salt bytes, hash bytes
//   write   = 0 put    key bytes, value bytes, lease u64
//             1 delete key bytes
//             2 delete key bytes, end bytes
// uint and bytes as in binary.ts. Sums and lengths of batches are the log's business.
import { assert, strictText, unreachable, utf8 } from "@millrace/base";
import type { AuthState, StoreUser } from "./auth-state.ts";
import { ByteReader, ByteWriter } from "./binary.ts";
import type { LeaseOwner, StoreRecord, Write } from "./records.ts";

const VERSION = 1;
const VERSION_WITH_AUTH = 2;
const KIND = {
  created: 1,
  started: 2,
  txn: 3,
  "lease-granted": 4,
  "lease-revoked": 5,
  compacted: 6,
  "auth-changed": 7,
} as const;
const OWNERS: readonly LeaseOwner[] = ["process", "remote"];

/** Bytes that a record takes at most, but for what uint saves. */
export function recordBytesBound(record: StoreRecord): number {
  let bytes = 32;
  if (record.kind === "auth-changed") return bytes + authBytesBound(record.auth);
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
  to.u8(records.some(({ kind }) => kind === "auth-changed") ? VERSION_WITH_AUTH : VERSION);
  for (const record of records) encodeRecord(to, record);
  return to.finish();
}

/** @throws {WireError} CORRUPT */
export function decodeBatch(bytes: Uint8Array): readonly StoreRecord[] {
  const from = new ByteReader("a batch of the coordination log", bytes);
  const version = from.u8();
  if (version !== VERSION && version !== VERSION_WITH_AUTH) {
    throw from.corrupt(`has format version ${version}, known are ${VERSION} and ${VERSION_WITH_AUTH}`);
  }
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
    case "auth-changed":
      encodeAuth(to, record.auth);
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
    case KIND["auth-changed"]:
      return { kind: "auth-changed", auth: decodeAuth(from) };
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

export function encodeAuth(to: ByteWriter, auth: AuthState): void {
  to.u8((auth.enabled ? 1 : 0) | (auth.hasRootRole ? 2 : 0));
  to.uint(auth.revision);
  to.uint(auth.users.length);
  for (const { name, password, isRoot } of auth.users) {
    to.bytes(utf8(name));
    to.u8((password === undefined ? 0 : 1) | (isRoot ? 2 : 0));
    if (password === undefined) continue;
    to.bytes(password.salt);
    to.bytes(password.hash);
  }
}

export function decodeAuth(from: ByteReader): AuthState {
  const flags = flagsOf(from);
  const revision = from.uint();
  const count = from.uint();
  const users: StoreUser[] = [];
  for (let i = 0; i < count; i++) {
    const name = strictText(from.bytes());
    if (name === undefined) throw from.corrupt("holds a user name that is not UTF-8");
    const { first: hasPassword, second: isRoot } = flagsOf(from);
    const password = hasPassword ? { salt: from.bytes(), hash: from.bytes() } : undefined;
    users.push({ name, password, isRoot });
  }
  return { enabled: flags.first, hasRootRole: flags.second, revision, users };
}

function flagsOf(from: ByteReader): { readonly first: boolean; readonly second: boolean } {
  const flags = from.u8();
  if (flags > 3) throw from.corrupt(`holds unknown flags ${flags}`);
  return { first: (flags & 1) !== 0, second: (flags & 2) !== 0 };
}

function authBytesBound({ users }: AuthState): number {
  let bytes = 0;
  for (const { name, password } of users) {
    bytes += 32 + 4 * name.length + (password?.salt.length ?? 0) + (password?.hash.length ?? 0);
  }
  return bytes;
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
