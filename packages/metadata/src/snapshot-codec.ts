// A checkpoint of the store, format version 1: the state at its compaction revision and the events since, so that it
// restores everything that was readable. A sequence of chunks, each: version u8 (1), kind u8, fields
//   1 head       clusterId u64, memberId u64, raftTerm u64, revision uint, compactRevision uint, count uint,
//                (lease u64, ttlSeconds uint, owner u8)…
//   2 keys       count uint, (key, value, createRevision uint, modRevision uint, version uint, lease u64)…
//   3 revisions  first revision uint, count uint, (count uint, event…)…
//   4 end        keys uint
//   5 auth       auth as in record-codec.ts (chunk version 2), when there are or were users
//   event      = 0 put key, value, createRevision uint, version uint, lease u64 | 1 delete key
// Head first, then auth, keys, revisions and end, all in order. Encoding is lazy, so that a large store can be written
// while it goes on: revisions above the head's are left out, and nothing is compacted meanwhile.
import { WireError } from "@millrace/base";
import { NO_AUTH, type AuthState } from "./auth-state.ts";
import type { KeyValue, StoreEvent } from "./coordination.ts";
import { ByteReader, ByteWriter } from "./binary.ts";
import { deletion, versionAt, type Lease, type Mvcc } from "./mvcc.ts";
import { decodeAuth, decodeOwner, encodeAuth, encodeOwner } from "./record-codec.ts";

const FORMAT = "the coordination checkpoint";
const VERSION = 1;
const HEAD = 1;
const KEYS = 2;
const REVISIONS = 3;
const END = 4;
const AUTH = 5;
const VERSION_OF_AUTH = 2;
/** In which chunks come. */
const ORDER: readonly number[] = [HEAD, AUTH, KEYS, REVISIONS, END];
/** Bytes after which a chunk is closed: small enough not to stall requests in between. */
const CHUNK_BYTES = 256 * 1024;

/** What cannot be read from the state later: as it was durable when the checkpoint began. */
export interface SnapshotHead {
  readonly leases: readonly Omit<Lease, "keys">[];
  readonly auth: AuthState;
  readonly revision: number;
}

export function* encodeSnapshot(
  state: Mvcc,
  { leases, auth, revision }: SnapshotHead,
): Generator<Uint8Array, void, undefined> {
  yield encodeHead(state, leases, revision);
  if (auth !== NO_AUTH) yield encodeAuthChunk(auth);
  let keys = 0;
  for (let after: string | undefined = ""; after !== undefined;) {
    const page: KeyValue[] = [];
    after = collectKeys(state, after, page);
    keys += page.length;
    if (page.length > 0) yield encodeKeys(page);
  }
  for (let next = state.historyBegin; next <= revision;) {
    const page: (readonly StoreEvent[])[] = [];
    for (let bytes = 0; next + page.length <= revision && bytes < CHUNK_BYTES;) {
      const events = state.eventsAt(next + page.length);
      page.push(events);
      for (const { kv } of events) bytes += 32 + kv.key.length + kv.value.length;
    }
    yield encodeRevisions(next, page);
    next += page.length;
  }
  const end = chunk(END);
  end.uint(keys);
  yield end.finish();
}

/** Fills an empty state from the chunks of a checkpoint. Everything it throws is CORRUPT. */
export class SnapshotDecoder {
  readonly #state: Mvcc;
  #last = 0;
  #revision = 0;
  #keys = 0;

  constructor(state: Mvcc) {
    this.#state = state;
  }

  push(bytes: Uint8Array): void {
    const from = new ByteReader(FORMAT, bytes);
    const version = from.u8();
    const kind = from.u8();
    const known = kind === AUTH ? VERSION_OF_AUTH : VERSION;
    if (version !== known) throw from.corrupt(`has format version ${version}, known is ${known}`);
    const isBehind = ORDER.indexOf(kind) < ORDER.indexOf(this.#last);
    if ((kind === HEAD) !== (this.#last === 0) || isBehind || this.#last === END) {
      throw from.corrupt(`has a chunk of kind ${kind} behind one of kind ${this.#last}`);
    }
    this.#last = kind;
    if (kind === HEAD) this.#revision = decodeHead(from, this.#state);
    else if (kind === AUTH) this.#state.auth = decodeAuth(from);
    else if (kind === KEYS) this.#keys += decodeKeys(from, this.#state);
    else if (kind === REVISIONS) decodeRevisions(from, this.#state);
    else if (kind === END) this.#checkEnd(from);
    else throw from.corrupt(`has a chunk of unknown kind ${kind}`);
    if (!from.isAtEnd) throw from.corrupt("has bytes behind a chunk");
  }

  /** Call when there are no more chunks. A journal without a checkpoint has none at all. */
  end(): void {
    if (this.#last === 0) return;
    if (this.#last !== END) throw new WireError("CORRUPT", `${FORMAT} has no end`);
    this.#state.restoreEnd();
  }

  #checkEnd(from: ByteReader): void {
    const keys = from.uint();
    if (keys !== this.#keys) throw from.corrupt(`holds ${this.#keys} keys, not ${keys}`);
    const { revision } = this.#state;
    if (revision !== this.#revision)
      throw from.corrupt(`ends at revision ${revision}, not ${this.#revision}`);
  }
}

function chunk(kind: number): ByteWriter {
  const to = new ByteWriter(CHUNK_BYTES / 16);
  to.u8(VERSION);
  to.u8(kind);
  return to;
}

function encodeHead(state: Mvcc, leases: readonly Omit<Lease, "keys">[], revision: number): Uint8Array {
  const to = chunk(HEAD);
  to.u64(state.clusterId);
  to.u64(state.memberId);
  to.u64(state.raftTerm);
  to.uint(revision);
  to.uint(state.compactRevision);
  to.uint(leases.length);
  for (const { id, ttlSeconds, owner } of leases) {
    to.u64(id);
    to.uint(ttlSeconds);
    to.u8(encodeOwner(owner));
  }
  return to.finish();
}

function encodeAuthChunk(auth: AuthState): Uint8Array {
  const to = new ByteWriter();
  to.u8(VERSION_OF_AUTH);
  to.u8(AUTH);
  encodeAuth(to, auth);
  return to.finish();
}

/** @returns the revision of the checkpoint */
function decodeHead(from: ByteReader, state: Mvcc): number {
  state.replay({ kind: "created", clusterId: from.u64(), memberId: from.u64() });
  state.replay({ kind: "started", raftTerm: from.u64() });
  const revision = from.uint();
  const compactRevision = from.uint();
  if (revision < Math.max(compactRevision, 1))
    throw from.corrupt(`is at revision ${revision} < ${compactRevision}`);
  state.restoreCompaction(compactRevision);
  const count = from.uint();
  for (let i = 0; i < count; i++) {
    state.restoreLease({ id: from.u64(), ttlSeconds: from.uint(), owner: decodeOwner(from) });
  }
  return revision;
}

/** Adds a page of keys from `after` on as they were at the compaction revision. @returns the key to go on behind */
function collectKeys(state: Mvcc, after: string, page: KeyValue[]): string | undefined {
  let bytes = 0;
  let last: string | undefined;
  state.keys.scan(after, undefined, ({ versions }, key) => {
    if (bytes >= CHUNK_BYTES) {
      last = key;
      return false;
    }
    bytes += 16; // keys that are not there yet take time as well
    const kv = versionAt(versions, state.compactRevision);
    if (kv === undefined) return true;
    page.push(kv);
    bytes += 32 + key.length + kv.value.length;
    return true;
  });
  return last;
}

function encodeKeys(page: readonly KeyValue[]): Uint8Array {
  const to = chunk(KEYS);
  to.uint(page.length);
  for (const kv of page) {
    to.key(kv.key);
    to.bytes(kv.value);
    to.uint(kv.createRevision);
    to.uint(kv.modRevision);
    to.uint(kv.version);
    to.u64(kv.lease);
  }
  return to.finish();
}

function decodeKeys(from: ByteReader, state: Mvcc): number {
  const count = from.uint();
  for (let i = 0; i < count; i++) {
    state.restoreKey({
      key: from.key(),
      value: from.bytes(),
      createRevision: from.uint(),
      modRevision: from.uint(),
      version: from.uint(),
      lease: from.u64(),
    });
  }
  return count;
}

function encodeRevisions(first: number, page: readonly (readonly StoreEvent[])[]): Uint8Array {
  const to = chunk(REVISIONS);
  to.uint(first);
  to.uint(page.length);
  for (const events of page) {
    to.uint(events.length);
    for (const { kind, kv } of events) {
      to.u8(kind === "put" ? 0 : 1);
      to.key(kv.key);
      if (kind === "delete") continue;
      to.bytes(kv.value);
      to.uint(kv.createRevision);
      to.uint(kv.version);
      to.u64(kv.lease);
    }
  }
  return to.finish();
}

function decodeRevisions(from: ByteReader, state: Mvcc): void {
  const first = from.uint();
  const count = from.uint();
  for (let at = 0; at < count; at++) {
    const events: StoreEvent[] = [];
    const size = from.uint();
    for (let i = 0; i < size; i++) events.push(decodeEvent(from, first + at));
    state.restoreEvents(first + at, events);
  }
}

function decodeEvent(from: ByteReader, revision: number): StoreEvent {
  const kind = from.u8();
  const key = from.key();
  if (kind === 1) return { kind: "delete", kv: deletion(key, revision) };
  if (kind !== 0) throw from.corrupt(`holds an unknown event kind ${kind}`);
  const value = from.bytes();
  const kv = {
    key,
    value,
    createRevision: from.uint(),
    modRevision: revision,
    version: from.uint(),
    lease: from.u64(),
  };
  return { kind: "put", kv };
}
