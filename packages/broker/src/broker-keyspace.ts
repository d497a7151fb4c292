// The broker's mirror of its keys: loaded at one revision, then kept up by a watch. Waiters read through a revision.
//
//  M1  `header.revision` is the greatest revision of a change below the root, so two brokers with equal revisions hold
//      equal keyspaces; progress without events never moves it.
//  M2  Listeners run after a whole batch was applied, in the order they were added, before waiters are woken.
import { Gate, waitUntil, WireError, type Logger } from "@millrace/base";
import type { CoordinationStore, StoreHeader } from "@millrace/metadata";
import { keyOf, prefixEnd } from "./pending-codecs.ts";
import { JournalTable } from "./journal-table.ts";

export class BrokerKeyspace {
  readonly table: JournalTable;
  readonly changed = new Gate();
  readonly #store: CoordinationStore;
  readonly #range: { readonly key: string; readonly end: string };
  readonly #listeners: ((changed: ReadonlySet<string>) => void)[] = [];
  #header: StoreHeader;

  private constructor(store: CoordinationStore, root: string, logger: Logger, header: StoreHeader) {
    this.#store = store;
    this.#range = { key: keyOf(`${root}/`), end: prefixEnd(keyOf(`${root}/`)) };
    this.#header = header;
    this.table = new JournalTable(root, logger);
  }

  static async load(
    store: CoordinationStore,
    root: string,
    logger: Logger,
    signal: AbortSignal,
  ): Promise<BrokerKeyspace> {
    const range = { key: keyOf(`${root}/`), end: prefixEnd(keyOf(`${root}/`)) };
    const { header, kvs } = await store.range(range, signal);
    const keyspace = new BrokerKeyspace(store, root, logger, header);
    keyspace.table.load(kvs);
    return keyspace;
  }

  get header(): StoreHeader {
    return this.#header;
  }

  onUpdate(listener: (changed: ReadonlySet<string>) => void): void {
    this.#listeners.push(listener);
  }

  /** Applies changes until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const fromRevision = this.#header.revision + 1;
    for await (const batch of this.#store.watch({ ...this.#range, fromRevision }, signal)) {
      if (batch.events.length === 0) continue;
      const revision = batch.events.reduce((most, { kv }) => Math.max(most, kv.modRevision), 0);
      const changed = this.table.apply(batch.events);
      this.#header = { ...batch.header, revision };
      for (const listener of this.#listeners) listener(changed);
      this.changed.open();
    }
    signal.throwIfAborted();
    throw new WireError("UNAVAILABLE", "the keyspace watch ended");
  }

  /** Resolves when this mirror holds everything up to `revision`. */
  async waitForRevision(revision: number, signal: AbortSignal): Promise<void> {
    await waitUntil(this.changed, () => this.#header.revision >= revision, signal);
  }
}
