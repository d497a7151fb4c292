// The embedded store on a disk: what `up` and the `etcd` component run.
import { durableJournal, type DurableJournalOptions } from "./durable-journal.ts";
import { openEmbeddedStore, type EmbeddedStore, type EmbeddedStoreOptions } from "./embedded-store.ts";

export type DurableStoreOptions = DurableJournalOptions & EmbeddedStoreOptions;

/**
 * Opens or creates the store in `options.dir` of `options.disk`, which stays the caller's to close.
 * @throws {WireError} CORRUPT, naming file and offset; DISK_FULL
 * @throws {DiskError} what the disk says while it is read
 */
export function openDurableStore(options: DurableStoreOptions): Promise<EmbeddedStore> {
  return openEmbeddedStore(durableJournal(options), options);
}
