// A mirror of everything under one prefix of the coordination store, decoded, ordered, and kept current by a watch.
//
// K1 `revision` is that of the load, then the greatest modRevision seen under the prefix: writes elsewhere do not move
//    it, so two mirrors with equal revisions hold the same. `seenRevision` also moves with the store's progress.
// K2 An update is whole revisions. Observers are called after it in the order of their registration, then waiters wake.
// K3 What cannot be decoded is logged and counted. `instead` may say what it counts as, at its own revisions; otherwise
//    a new key is treated as absent, and a known one keeps its old value and its old revisions: whoever compares these
//    overwrites nothing that he cannot read. A later value that can be decoded is taken; so is the same one, when what
//    its decoding depends on has changed (decodeAgain).
// K4 A watch that fails starts again behind the last update; when that has been compacted, the prefix is loaded again
//    and the difference is one update.
// K5 A key whose versions do not follow each other shows that the watch has left out changes: the store was put back as
//    it was earlier, and has come to the same revisions again. The prefix is loaded again, and what has the revisions
//    that it had is compared by content.
import { crc32c } from "@millrace/wal";
import { assert, Gate, WireError, waitUntil, type Clock, type Logger } from "@millrace/base";
import type {
  CoordinationStore,
  Key,
  KeyValue,
  RangeResponse,
  StoreEvent,
  StoreHeader,
  WatchBatch,
} from "./coordination.ts";
import { inRange, prefixRange, textOf } from "./key.ts";
import { OrderedMap } from "./ordered-map.ts";

export interface KeyspaceEntry<T> {
  readonly key: Key;
  readonly value: T;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

/** What stands in the mirror. */
interface Mirrored<T> extends KeyspaceEntry<T> {
  /** CRC-32C of the encoded value (K5). */
  readonly sum: number;
  /** Of the key and the encoded value. */
  readonly bytes: number;
}

/** What a load or a watch brings for a key, decoded. */
type Decoded<T> =
  | { readonly kind: "entry"; readonly entry: Mirrored<T> }
  | {
      readonly kind: "undecodable";
      readonly kv: KeyValue;
      readonly error: Error;
      /** What is mirrored for it (K3). */
      readonly instead: Mirrored<T> | undefined;
    };

/** What a load has found at a key; `known`: what is mirrored already (K5). */
type Found<T> = Decoded<T> | { readonly kind: "known"; readonly key: Key };

export interface KeyspaceChange<T> {
  readonly key: Key;
  readonly before: KeyspaceEntry<T> | undefined;
  readonly after: KeyspaceEntry<T> | undefined;
  /** Revision at which `before` was deleted, whatever came after; undefined: it was not, or a load does not tell. */
  readonly deletedAt?: number | undefined;
}

export interface KeyspaceOptions<T> {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly prefix: Key;
  /** Prefixes below `prefix` that are mirrored, in key order; what stands beside them is passed over. Default: all. */
  readonly parts?: readonly Key[];
  /** The decoded value, or why it cannot be decoded. What it throws counts as that, too. */
  readonly decode: (key: Key, value: Uint8Array) => T | Error;
  /**
   * What a value that cannot be decoded for `error` counts as (K3); `known` is mirrored there. Undefined, or an error
   * thrown: it counts as nothing.
   */
  readonly instead?: (
    key: Key,
    known: T | undefined,
    failed: { readonly value: Uint8Array; readonly error: Error },
  ) => T | undefined;
  /** Called after a key's newest value turned out not to be decodable, or such a key is decodable or gone. */
  readonly onUndecodable?: () => void;
  /** Milliseconds that the first event of an update waits for more. Default 0. */
  readonly applyDelayMs?: number;
  /** Keys of one read while loading. Default 1000. */
  readonly pageKeys?: number;
}

export type KeyspaceObserver<T> = (changes: readonly KeyspaceChange<T>[], keyspace: Keyspace<T>) => void;

/** Waits before the n-th restart in a row, milliseconds; the last one repeats. */
const RESTART_MS = [0, 0, 5, 2000, 3000, 4000, 5000] as const;
/** Events that wait for the apply delay before they are applied early. */
const QUEUED_EVENTS_MAX = 10_000;
/** Loads that may find their revision compacted half-way before the loading fails. */
const LOAD_ATTEMPTS_MAX = 5;

export class Keyspace<T> {
  readonly #options: KeyspaceOptions<T>;
  readonly #range: { readonly key: Key; readonly end: Key };
  readonly #parts: readonly { readonly key: Key; readonly end: Key }[];
  readonly #entries = new OrderedMap<Mirrored<T>>();
  #bytes = 0;
  readonly #undecodable = new Map<Key, KeyValue>();
  /** Keys were added to the undecodable ones, or removed from them, since it was told. */
  #hasNewUndecodable = false;
  readonly #observers: KeyspaceObserver<T>[] = [];
  readonly #changed = new Gate();
  #header: StoreHeader | undefined;
  #revision = 0;
  #seenRevision = 0;
  /** Changes were not told (K5). */
  #hasGap = false;
  #queue: WatchBatch[] = [];
  #queuedEvents = 0;
  #cancelApply: (() => void) | undefined;

  constructor(options: KeyspaceOptions<T>) {
    this.#options = options;
    this.#range = prefixRange(options.prefix);
    this.#parts = (options.parts ?? [options.prefix]).map(prefixRange);
  }

  /** Prefix-scoped revision (K1); 0 before load(). */
  get revision(): number {
    return this.#revision;
  }

  /** The mirror holds everything under the prefix up to this revision of the store. */
  get seenRevision(): number {
    return this.#seenRevision;
  }

  /** The store's identity with this mirror's revision. */
  get header(): StoreHeader {
    assert(this.#header !== undefined, "a keyspace is loaded before it is asked");
    return { ...this.#header, revision: this.#revision };
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Of the mirrored keys and of their values, as they are encoded. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Keys under the prefix whose newest value could not be decoded. */
  get undecodable(): number {
    return this.#undecodable.size;
  }

  /** Whether the newest value of `key` could not be decoded. */
  isUndecodable(key: Key): boolean {
    return this.#undecodable.has(key);
  }

  get(key: Key): KeyspaceEntry<T> | undefined {
    return this.#entries.get(key);
  }

  /** Entries whose keys start with `prefix`, in key order. Default all. */
  scan(prefix: Key = this.#options.prefix): readonly KeyspaceEntry<T>[] {
    const entries: KeyspaceEntry<T>[] = [];
    const range = prefixRange(prefix);
    this.#entries.scan(range.key, undefined, (entry) => {
      if (!inRange(entry.key, range)) return false;
      entries.push(entry);
      return true;
    });
    return entries;
  }

  /** Calls `observer` after each update from now on (K2). @returns a function that ends that */
  observe(observer: KeyspaceObserver<T>): () => void {
    this.#observers.push(observer);
    return () => {
      const at = this.#observers.indexOf(observer);
      if (at >= 0) this.#observers.splice(at, 1);
    };
  }

  /**
   * Loads the prefix as it is at `revision`, or now when it is 0.
   * @throws {WireError} what the store says
   */
  async load(revision: number, signal: AbortSignal): Promise<void> {
    let at = revision;
    for (let attempt = 1; ; attempt++) {
      try {
        this.#replace(...(await this.#read(at, signal)));
        return;
      } catch (thrown) {
        const error = WireError.from(thrown);
        if (signal.aborted || error.code !== "COMPACTED" || attempt >= LOAD_ATTEMPTS_MAX) throw thrown;
        at = 0;
      }
    }
  }

  /**
   * Follows the store until `signal` aborts, then resolves. Failures are retried (K4).
   * @throws {WireError} CORRUPT when the store has become another one
   */
  async run(signal: AbortSignal): Promise<void> {
    assert(this.#header !== undefined, "a keyspace is loaded before it runs");
    let failures = 0;
    while (!signal.aborted) {
      const before = this.#seenRevision;
      try {
        await this.#follow(signal);
      } catch (thrown) {
        this.#dropQueue();
        if (signal.aborted) return;
        const error = WireError.from(thrown);
        if (error.code === "CORRUPT") throw error;
        failures = this.#seenRevision > before ? 1 : failures + 1;
        const waitMs = RESTART_MS[Math.min(failures - 1, RESTART_MS.length - 1)]!;
        this.#options.logger.warn("keyspace-watch-failed", { error, revision: this.#seenRevision, waitMs });
        await this.#recover(error, waitMs, signal);
      }
    }
    this.#dropQueue();
  }

  /** Resolves once the mirror holds all that the store held at `revision`. @throws `signal.reason`, even if it does */
  async waitForRevision(revision: number, signal: AbortSignal): Promise<void> {
    await waitUntil(this.#changed, () => this.#seenRevision >= revision, signal);
    signal.throwIfAborted();
  }

  /** Decodes once more what could not be decoded, since what that depends on has changed: what can be is one update. */
  decodeAgain(): void {
    const changes = new Map<Key, KeyspaceChange<T>>();
    for (const kv of [...this.#undecodable.values()]) {
      const decoded = this.#decode(kv);
      if (decoded.kind === "entry") this.#take(decoded, changes);
    }
    if (changes.size > 0) this.#publish(changes);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const request = { ...this.#range, fromRevision: this.#seenRevision + 1, progress: true };
    for await (const batch of this.#options.store.watch(request, signal)) this.#onBatch(batch);
    if (!signal.aborted) throw new WireError("UNAVAILABLE", "the watch has ended");
  }

  async #recover(error: WireError, waitMs: number, signal: AbortSignal): Promise<void> {
    try {
      if (waitMs > 0) await this.#options.clock.sleep(waitMs, signal);
      if (error.code === "COMPACTED") await this.load(0, signal);
    } catch (thrown) {
      if (signal.aborted) return;
      const again = WireError.from(thrown);
      if (again.code === "CORRUPT") throw again;
      this.#options.logger.warn("keyspace-load-failed", { error: again });
    }
  }

  #onBatch(batch: WatchBatch): void {
    this.#checkHeader(batch.header);
    if (this.#hasGap) throw new WireError("COMPACTED", "the watch has left out changes"); // K5
    const delayMs = this.#options.applyDelayMs ?? 0;
    this.#queue.push(batch);
    this.#queuedEvents += batch.events.length;
    if (delayMs === 0 || this.#queuedEvents >= QUEUED_EVENTS_MAX) this.#applyQueue();
    else if (batch.events.length === 0 && this.#queuedEvents === 0)
      this.#applyQueue(); // only progress: nothing to join
    else this.#cancelApply ??= this.#options.clock.after(delayMs, () => this.#applyQueue());
  }

  #dropQueue(): void {
    this.#cancelApply?.();
    this.#cancelApply = undefined;
    this.#queue = [];
    this.#queuedEvents = 0;
  }

  #applyQueue(): void {
    const queue = this.#queue;
    this.#dropQueue();
    const changes = new Map<Key, KeyspaceChange<T>>();
    for (const { header, events } of queue) {
      for (const event of events) {
        if (!this.#parts.some((part) => inRange(event.kv.key, part))) continue;
        this.#patch(event, changes);
        this.#revision = Math.max(this.#revision, event.kv.modRevision);
      }
      this.#seenRevision = Math.max(this.#seenRevision, header.revision);
    }
    this.#publish(changes);
  }

  #publish(changes: ReadonlyMap<Key, KeyspaceChange<T>>): void {
    const list = [...changes.values()].filter(
      ({ before, after }) => before !== undefined || after !== undefined,
    );
    if (list.length > 0) for (const observer of this.#observers.slice()) observer(list, this);
    if (this.#hasNewUndecodable) this.#options.onUndecodable?.();
    this.#hasNewUndecodable = false;
    this.#changed.open();
  }

  #patch({ kind, kv }: StoreEvent, changes: Map<Key, KeyspaceChange<T>>): void {
    const { key } = kv;
    const before = this.#entries.get(key);
    if (kv.modRevision <= Math.max(before?.modRevision ?? 0, this.#seenRevision)) {
      this.#warn("keyspace-event-replayed", kv, before);
      return;
    }
    if (kind === "delete") {
      if (before === undefined && !this.#undecodable.has(key))
        this.#warn("keyspace-delete-of-unknown-key", kv, before);
      this.#forgetUndecodable(key);
      this.#entries.delete(key);
      this.#bytes -= before?.bytes ?? 0;
      note(changes, key, before, undefined, kv.modRevision);
      return;
    }
    if (!this.#undecodable.has(key) && !follows(kv, before)) {
      this.#warn("keyspace-version-gap", kv, before);
      this.#hasGap = true;
    }
    this.#take(this.#decode(kv), changes);
  }

  #decode(kv: KeyValue): Decoded<T> {
    const { key, createRevision, modRevision, version, lease } = kv;
    const value = attempt(() => this.#options.decode(key, kv.value));
    const sum = crc32c(kv.value);
    const bytes = key.length + kv.value.length;
    const entryOf = (of: T): Mirrored<T> => ({
      ...{ key, createRevision, modRevision, version, lease, sum, bytes },
      value: of,
    });
    if (!(value instanceof Error)) return { kind: "entry", entry: entryOf(value) };
    const known = this.#entries.get(key)?.value;
    const failed = { value: kv.value, error: value };
    const stands = attempt(() => this.#options.instead?.(key, known, failed));
    const instead = stands === undefined || stands instanceof Error ? undefined : entryOf(stands);
    return { kind: "undecodable", kv, error: value, instead };
  }

  #take(decoded: Decoded<T>, changes: Map<Key, KeyspaceChange<T>>): void {
    if (decoded.kind === "undecodable") {
      const { kv, error } = decoded;
      const { key, modRevision } = kv;
      this.#undecodable.set(key, kv); // K3
      this.#hasNewUndecodable = true;
      this.#options.logger.warn("keyspace-value-undecodable", { key: textOf(key), modRevision, error });
      if (decoded.instead !== undefined) this.#set(decoded.instead, changes);
      return;
    }
    this.#forgetUndecodable(decoded.entry.key);
    this.#set(decoded.entry, changes);
  }

  #set(entry: Mirrored<T>, changes: Map<Key, KeyspaceChange<T>>): void {
    const { key } = entry;
    const before = this.#entries.get(key);
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes - (before?.bytes ?? 0);
    note(changes, key, before, entry);
  }

  #forgetUndecodable(key: Key): void {
    if (this.#undecodable.delete(key)) this.#hasNewUndecodable = true;
  }

  #warn(event: string, kv: KeyValue, before: KeyspaceEntry<T> | undefined): void {
    const { modRevision, version } = kv;
    const known = { modRevision: before?.modRevision, version: before?.version };
    this.#options.logger.warn(event, { key: textOf(kv.key), modRevision, version, known });
  }

  /**
   * All keys of the prefix as at one revision, and the header that this revision has. Each page is decoded when it
   * comes: its bytes are not kept, and others have their turn before the next one.
   */
  async #read(revision: number, signal: AbortSignal): Promise<[StoreHeader, readonly Found<T>[]]> {
    const found: Found<T>[] = [];
    const limit = this.#options.pageKeys ?? 1000;
    let at = revision;
    let header: StoreHeader | undefined;
    for (const part of this.#parts) {
      for (let key: Key | undefined = part.key; key !== undefined;) {
        const page: RangeResponse = await this.#options.store.range(
          { ...part, key, revision: at, limit },
          signal,
        );
        this.#checkHeader(page.header);
        if (at === 0) at = page.header.revision;
        for (const kv of page.kvs) found.push(this.#find(kv));
        header = { ...page.header, revision: at };
        key = page.more ? `${page.kvs.at(-1)!.key}\0` : undefined;
      }
    }
    assert(header !== undefined, "a keyspace has a part");
    return [header, found];
  }

  #find(kv: KeyValue): Found<T> {
    const known = this.#entries.get(kv.key);
    return known !== undefined && isSame(known, kv) ? { kind: "known", key: kv.key } : this.#decode(kv);
  }

  /** Takes a loaded state in the place of the present one. */
  #replace(header: StoreHeader, found: readonly Found<T>[]): void {
    const changes = new Map<Key, KeyspaceChange<T>>();
    const before = this.scan();
    for (const one of found) if (one.kind !== "known") this.#take(one, changes);
    if (before.length > 0 || this.#undecodable.size > 0) {
      const loaded = new Set(found.map(keyOfFound));
      for (const entry of before) {
        if (loaded.has(entry.key)) continue;
        this.#bytes -= this.#entries.get(entry.key)?.bytes ?? 0;
        this.#entries.delete(entry.key);
        note(changes, entry.key, entry, undefined);
      }
      for (const key of this.#undecodable.keys()) if (!loaded.has(key)) this.#forgetUndecodable(key);
    }
    this.#header = header;
    this.#hasGap = false;
    this.#revision = Math.max(this.#revision, header.revision);
    this.#seenRevision = Math.max(this.#seenRevision, header.revision);
    this.#publish(changes);
  }

  /** @throws {WireError} CORRUPT for another cluster, UNAVAILABLE for a store that lags behind what was seen */
  #checkHeader({ clusterId, revision }: StoreHeader): void {
    const known = this.#header;
    if (known === undefined) return;
    if (clusterId !== known.clusterId) {
      throw new WireError(
        "CORRUPT",
        `the store's cluster id has become ${clusterId}, it was ${known.clusterId}`,
      );
    }
    if (revision < this.#seenRevision) {
      throw new WireError(
        "UNAVAILABLE",
        `the store is at revision ${revision}, seen was ${this.#seenRevision}`,
      );
    }
  }
}

function keyOfFound<T>(one: Found<T>): Key {
  if (one.kind === "known") return one.key;
  return one.kind === "entry" ? one.entry.key : one.kv.key;
}

function attempt<T>(decode: () => T | Error): T | Error {
  try {
    return decode();
  } catch (thrown) {
    return WireError.from(thrown);
  }
}

/** Whether `kv` is the next version of `before`. */
function follows(kv: KeyValue, before: Pick<KeyValue, "createRevision" | "version"> | undefined): boolean {
  if (before === undefined) return kv.version === 1 && kv.createRevision === kv.modRevision;
  return kv.createRevision === before.createRevision && kv.version === before.version + 1;
}

/** Whether `kv` is what is mirrored already (K5). */
function isSame(
  before: Omit<Mirrored<unknown>, "value">,
  { createRevision, modRevision, version, lease, value }: KeyValue,
): boolean {
  if (modRevision !== before.modRevision || createRevision !== before.createRevision) return false;
  return version === before.version && lease === before.lease && crc32c(value) === before.sum;
}

/** Adds a change; several of one key in one update are one. */
function note<T>(
  changes: Map<Key, KeyspaceChange<T>>,
  key: Key,
  before: KeyspaceEntry<T> | undefined,
  after: KeyspaceEntry<T> | undefined,
  deletedAt?: number,
): void {
  const earlier = changes.get(key);
  changes.set(key, {
    key,
    before: earlier === undefined ? before : earlier.before,
    after,
    deletedAt: earlier?.deletedAt ?? deletedAt,
  });
}
