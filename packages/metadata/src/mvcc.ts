// The state of the embedded store: every key's versions back to the compaction revision, the events of each revision
// since then, the leases and the users. Pure: no clock, no chance, no await.
//
// A1 The state changes only in replay() and in undo(), which takes back the newest replayed record.
// A2 Revisions are made one by one; each has at least one event, and at most one for a key.
// A3 A key's versions ascend by modRevision; version 0 is its deletion. A key without versions is not in the map.
// A4 What is below the compaction revision C is one version per key, the newest <= C, and no deletion.
// A5 A lease's keys are exactly those whose newest version names it.
import { assert, unreachable } from "@millrace/base";
import { NO_AUTH, type AuthState } from "./auth-state.ts";
import type { Key, KeyValue, RangeRequest, StoreEvent, StoreHeader } from "./coordination.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { EVERYTHING } from "./key.ts";
import { OrderedMap } from "./ordered-map.ts";
import type { LeaseOwner, StoreRecord, Write } from "./records.ts";

const NOTHING = new Uint8Array(0);
/** An empty store is at revision 1, as etcd's. */
export const FIRST_REVISION = 1;

export interface Lease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly owner: LeaseOwner;
  readonly keys: Set<Key>;
}

/** What a replayed record did: enough to tell watchers, and to undo it. */
export interface Applied {
  readonly record: StoreRecord;
  readonly events: readonly StoreEvent[];
  /** The lease that a revocation ended. */
  readonly revoked?: Lease;
  /** What a change of the users replaced. */
  readonly auth?: AuthState;
}

/** All versions of one key, oldest first. */
export interface KeyHistory {
  readonly key: Key;
  readonly versions: KeyValue[];
}

export interface RangeResult {
  readonly kvs: readonly KeyValue[];
  readonly count: number;
  readonly more: boolean;
}

export class Mvcc {
  readonly keys = new OrderedMap<KeyHistory>();
  readonly leases = new Map<bigint, Lease>();
  clusterId = 0n;
  memberId = 0n;
  raftTerm = 0n;
  auth = NO_AUTH;
  #revision = FIRST_REVISION;
  #compactRevision = 0;
  /** Events of the revisions from #historyBegin on, one entry each. */
  #history: (readonly StoreEvent[])[] = [];
  #historyBegin = FIRST_REVISION + 1;
  #historyBytes = 0;

  get revision(): number {
    return this.#revision;
  }

  /** Revisions below this one are gone. */
  get compactRevision(): number {
    return this.#compactRevision;
  }

  /** Bytes of keys and values in the events that are kept. */
  get historyBytes(): number {
    return this.#historyBytes;
  }

  /** The state after `record`. The record was decided on exactly this state. */
  replay(record: StoreRecord): Applied {
    switch (record.kind) {
      case "created":
        this.clusterId = record.clusterId;
        this.memberId = record.memberId;
        return { record, events: [] };
      case "started":
        this.raftTerm = record.raftTerm;
        return { record, events: [] };
      case "txn":
        assert(record.revision === this.#revision + 1, "a transaction makes the next revision", {
          record: record.revision,
          state: this.#revision,
        });
        return { record, events: this.#commit(record.writes) };
      case "lease-granted":
        assert(!this.leases.has(record.lease), "a lease is granted once", { lease: record.lease });
        this.restoreLease({ id: record.lease, ttlSeconds: record.ttlSeconds, owner: record.owner });
        return { record, events: [] };
      case "lease-revoked": {
        const revoked = this.leases.get(record.lease);
        assert(revoked !== undefined, "a revoked lease exists", { lease: record.lease });
        return { record, events: this.#revoke(revoked, record.revision), revoked };
      }
      case "compacted":
        this.#compact(record.revision);
        return { record, events: [] };
      case "auth-changed": {
        const { auth } = this;
        this.auth = record.auth;
        return { record, events: [], auth };
      }
      default:
        return unreachable(record);
    }
  }

  /** Takes back `applied`, which must be the newest change of a transaction, a lease or the users. */
  undo(applied: Applied): void {
    const { record, events, revoked, auth } = applied;
    assert(record.kind !== "compacted", "a compaction is final");
    if (record.kind === "lease-granted") this.leases.delete(record.lease);
    if (revoked !== undefined) this.restoreLease(revoked);
    if (auth !== undefined) this.auth = auth;
    if (events.length === 0) return;
    assert(events === this.#history.at(-1), "the newest revision is undone first", {
      revision: this.#revision,
    });
    this.#history.pop();
    this.#historyBytes -= bytesOf(events);
    this.#revision--;
    for (let at = events.length - 1; at >= 0; at--) this.#dropNewest(events[at]!.kv);
  }

  /** The version of `key` at the newest revision, if it exists. */
  newest(key: Key): KeyValue | undefined {
    const version = this.keys.get(key)?.versions.at(-1);
    return version === undefined || version.version === 0 ? undefined : version;
  }

  /**
   * @param revision the state to read, checked against the compaction and `head`
   * @param hidden keys whose change at `revision` is not to be seen
   * @throws {WireError} COMPACTED, INVALID_ARGUMENT for a future revision
   */
  range(request: RangeRequest, head: number, hidden?: ReadonlySet<Key>): RangeResult {
    const revision = request.revision === undefined || request.revision === 0 ? head : request.revision;
    this.checkReadable(revision, head);
    const limit = request.limit === undefined || request.limit === 0 ? Infinity : request.limit;
    const kvs: KeyValue[] = [];
    let count = 0;
    const take = (history: KeyHistory): boolean => {
      const visible = hidden?.has(history.key) === true ? Math.min(revision, head - 1) : revision;
      const kv = versionAt(history.versions, visible);
      if (kv === undefined) return true;
      count++;
      if (request.countOnly === true || kvs.length >= limit) return true;
      kvs.push(request.keysOnly === true ? { ...kv, value: NOTHING } : kv);
      return true;
    };
    if (request.end === undefined) {
      const history = this.keys.get(request.key);
      if (history !== undefined) take(history);
    } else {
      this.keys.scan(request.key, request.end === EVERYTHING ? undefined : request.end, take);
    }
    return { kvs, count, more: request.countOnly !== true && count > kvs.length };
  }

  /** @throws {WireError} COMPACTED, INVALID_ARGUMENT for a revision above `head`; 0 is the head */
  checkReadable(revision: number, head: number): void {
    if (revision > head) throw etcdRefusal("futureRevision", `${revision} > ${head}`);
    if (revision === 0 || revision >= this.#compactRevision) return;
    throw etcdRefusal("compacted", `${revision} < ${this.#compactRevision}`);
  }

  /** Events of `revision`, which must not be compacted nor above the newest. Empty for revision 1. */
  eventsAt(revision: number): readonly StoreEvent[] {
    return this.#history[revision - this.#historyBegin] ?? [];
  }

  /** The identity and revision that responses carry. */
  header(revision: number): StoreHeader {
    return { clusterId: this.clusterId, memberId: this.memberId, revision, raftTerm: this.raftTerm };
  }

  /** First step of loading a checkpoint into an empty state: what was compacted when it was written. */
  restoreCompaction(compactRevision: number): void {
    assert(
      this.keys.size === 0 && this.#revision === FIRST_REVISION,
      "a checkpoint is loaded into an empty state",
    );
    this.#compactRevision = compactRevision;
    this.#historyBegin = Math.max(compactRevision, FIRST_REVISION + 1);
    this.#revision = Math.max(compactRevision, FIRST_REVISION);
  }

  restoreLease(lease: Omit<Lease, "keys">): void {
    this.leases.set(lease.id, { ...lease, keys: new Set() });
  }

  /** A key as it was at the compaction revision. */
  restoreKey(kv: KeyValue): void {
    this.keys.set(kv.key, { key: kv.key, versions: [kv] });
    this.#attach(kv);
  }

  /** The next revision's events; the first may be those of the compaction revision, whose keys are there already. */
  restoreEvents(revision: number, events: readonly StoreEvent[]): void {
    assert(revision === this.#historyBegin + this.#history.length, "revisions are restored in order", {
      revision,
    });
    if (revision > this.#revision) {
      for (const event of events) this.#addVersion(event.kv);
      this.#revision = revision;
    }
    this.#history.push(events);
    this.#historyBytes += bytesOf(events);
  }

  restoreEnd(): void {
    const next = this.#historyBegin + this.#history.length;
    assert(next === this.#revision + 1, "a checkpoint holds every revision since its compaction", { next });
  }

  /** First revision that eventsAt() answers. */
  get historyBegin(): number {
    return this.#historyBegin;
  }

  #commit(writes: readonly Write[]): readonly StoreEvent[] {
    const revision = this.#revision + 1;
    const events: StoreEvent[] = [];
    for (const write of writes) {
      if (write.kind === "put") events.push(this.#put(write, revision));
      else for (const key of this.liveKeys(write)) events.push(this.#delete(key, revision));
    }
    assert(events.length > 0, "a revision changes something", { revision });
    this.#close(revision, events);
    return events;
  }

  #revoke(lease: Lease, recorded: number): readonly StoreEvent[] {
    const keys = [...lease.keys].sort();
    const revision = this.#revision + (keys.length > 0 ? 1 : 0);
    assert(recorded === revision, "a revocation makes the next revision", { recorded, revision });
    this.leases.delete(lease.id);
    if (keys.length === 0) return [];
    const events = keys.map((key) => this.#delete(key, revision));
    this.#close(revision, events);
    return events;
  }

  /** Keys that exist now in the range of a delete, in order. */
  liveKeys(range: { readonly key: Key; readonly end?: Key }): readonly Key[] {
    if (range.end === undefined) return this.newest(range.key) === undefined ? [] : [range.key];
    const keys: Key[] = [];
    this.keys.scan(range.key, range.end === EVERYTHING ? undefined : range.end, (history) => {
      if (history.versions.at(-1)!.version !== 0) keys.push(history.key);
      return true;
    });
    return keys;
  }

  #put(write: Write & { kind: "put" }, revision: number): StoreEvent {
    const { key, value, lease } = write;
    assert(lease === 0n || this.leases.has(lease), "a put names a lease that exists", { lease });
    const old = this.newest(key);
    const kv: KeyValue = {
      key,
      value,
      createRevision: old?.createRevision ?? revision,
      modRevision: revision,
      version: (old?.version ?? 0) + 1,
      lease,
    };
    this.#addVersion(kv);
    return { kind: "put", kv };
  }

  #delete(key: Key, revision: number): StoreEvent {
    const kv = deletion(key, revision);
    this.#addVersion(kv);
    return { kind: "delete", kv };
  }

  #close(revision: number, events: readonly StoreEvent[]): void {
    this.#revision = revision;
    this.#history.push(events);
    this.#historyBytes += bytesOf(events);
  }

  #addVersion(kv: KeyValue): void {
    const history = this.keys.get(kv.key);
    if (history === undefined) {
      this.keys.set(kv.key, { key: kv.key, versions: [kv] });
    } else {
      this.#detach(history.versions.at(-1)!);
      history.versions.push(kv);
    }
    this.#attach(kv);
  }

  #dropNewest(kv: KeyValue): void {
    const history = this.keys.get(kv.key);
    assert(history?.versions.at(-1) === kv, "the newest version of a key is undone first");
    history.versions.pop();
    this.#detach(kv);
    const old = history.versions.at(-1);
    if (old === undefined) this.keys.delete(kv.key);
    else this.#attach(old);
  }

  #attach(kv: KeyValue): void {
    if (kv.lease !== 0n) this.leases.get(kv.lease)?.keys.add(kv.key);
  }

  #detach(kv: KeyValue): void {
    if (kv.lease !== 0n) this.leases.get(kv.lease)?.keys.delete(kv.key);
  }

  /** Only keys that changed since the last compaction can have anything to forget. */
  #compact(revision: number): void {
    assert(revision > this.#compactRevision && revision <= this.#revision, "a compaction goes forward", {
      revision,
    });
    const passed = Math.max(0, revision - this.#historyBegin);
    for (const events of this.#history.slice(0, passed + 1)) {
      for (const { kv } of events) this.#forget(kv.key, revision);
    }
    for (const events of this.#history.splice(0, passed)) this.#historyBytes -= bytesOf(events);
    this.#historyBegin += passed;
    this.#compactRevision = revision;
  }

  #forget(key: Key, revision: number): void {
    const history = this.keys.get(key);
    if (history === undefined) return;
    const { versions } = history;
    let newest = -1;
    while (newest + 1 < versions.length && versions[newest + 1]!.modRevision <= revision) newest++;
    if (newest < 0) return;
    versions.splice(0, versions[newest]!.version === 0 ? newest + 1 : newest);
    if (versions.length === 0) this.keys.delete(key);
  }
}

/** The version of a key that a read at `revision` sees. */
export function versionAt(versions: readonly KeyValue[], revision: number): KeyValue | undefined {
  let at = versions.length - 1;
  if (at >= 0 && versions[at]!.modRevision > revision) {
    let low = 0;
    while (low < at) {
      const middle = (low + at) >>> 1;
      if (versions[middle]!.modRevision <= revision) low = middle + 1;
      else at = middle;
    }
    at--;
  }
  const version = versions[at];
  return version === undefined || version.version === 0 ? undefined : version;
}

/** How the deletion of `key` stands among its versions and in an event. */
export function deletion(key: Key, revision: number): KeyValue {
  return { key, value: NOTHING, createRevision: 0, modRevision: revision, version: 0, lease: 0n };
}

function bytesOf(events: readonly StoreEvent[]): number {
  let bytes = 0;
  for (const { kv } of events) bytes += kv.key.length + kv.value.length;
  return bytes;
}
