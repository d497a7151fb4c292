// The storage model over the coordination store: a mirror of it, and transactions that hold only if what they were
// decided on is still so.
import { type WireError, type Clock, type Logger } from "@millrace/base";
import { Keyspace, type CoordinationStore, type MirrorSize } from "@millrace/metadata";
import { checkChanges, keyOfChange, txnOf, type StorageChange } from "./storage-change.ts";
import { STORAGE_PREFIX } from "./storage-keys.ts";
import { decodeStorageValue, StorageView, type StorageValue } from "./storage-view.ts";

export interface StorageStorePorts {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Called with the paths of the sinks that changed, after the view shows it. */
export type StorageListener = (sinkPaths: ReadonlySet<string>) => void;

export class StorageStore {
  readonly view = new StorageView();
  readonly #store: CoordinationStore;
  readonly #keyspace: Keyspace<StorageValue>;
  readonly #listeners = new Set<StorageListener>();

  constructor(ports: StorageStorePorts) {
    this.#store = ports.store;
    this.#keyspace = new Keyspace<StorageValue>({
      ...ports,
      prefix: STORAGE_PREFIX,
      decode: decodeStorageValue,
    });
    this.#keyspace.observe((changes) => {
      const touched = this.view.apply(changes);
      if (touched.size > 0) for (const listener of [...this.#listeners]) listener(touched);
    });
  }

  /** Loads everything; then `run` keeps it current. */
  async load(signal: AbortSignal): Promise<void> {
    await this.#keyspace.load(0, signal);
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#keyspace.run(signal);
  }

  get size(): MirrorSize {
    return { keys: this.#keyspace.size, bytes: this.#keyspace.bytes };
  }

  /** Entities that cannot be decoded: nothing is done with them until they can. */
  get undecodable(): number {
    return this.#keyspace.undecodable;
  }

  /** @returns a function that ends it */
  observe(listener: StorageListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Makes `changes` in one transaction. The view shows the outcome when it resolves.
   * @returns false when something had changed in between: decide again
   * @throws {WireError} OUTCOME_UNKNOWN and others of the store; deciding again from the view is right after each
   */
  async commit(changes: readonly StorageChange[], signal: AbortSignal): Promise<boolean> {
    if (changes.some((change) => this.#isStale(change))) return false;
    checkChanges(this.view, changes);
    const { succeeded, header } = await this.#store.txn(txnOf(changes), signal);
    await this.#keyspace.waitForRevision(header.revision, signal);
    return succeeded;
  }

  /** Whether the view shows already that what `change` was decided on is no longer so. */
  #isStale(change: StorageChange): boolean {
    return this.#keyspace.get(keyOfChange(change))?.modRevision !== change.before?.modRevision;
  }

  /** Waits until the view shows all that the store holds now. */
  async sync(signal: AbortSignal): Promise<void> {
    const { header } = await this.#store.range({ key: STORAGE_PREFIX, countOnly: true }, signal);
    await this.#keyspace.waitForRevision(header.revision, signal);
  }
}

/** Whether an error of a commit goes away by itself. */
export function isPassing(error: WireError): boolean {
  return error.retry === "same-request" || error.retry === "after-resolve";
}
