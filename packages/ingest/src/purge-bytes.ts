// Removes the bytes of a purged life of a sink: its journals, their fragments in the stores, its staged objects. Doing
// it again is right; what it does not find is gone.
import type { Logger } from "@millrace/base";
import { applyJournals, listJournals, type JournalTransport } from "@millrace/client";
import { prefixRange, type CoordinationStore } from "@millrace/metadata";
import { ANY_LABELS, deleteChange, labelSet, type ListedJournal } from "@millrace/protocol";
import type { ObjectStore, ObjectStores } from "@millrace/stores";
import { deadLetterJournal, journalsPrefix, sinkPath, type SinkLife } from "./definitions.ts";
import { FRAME_LABELS } from "./partition-registry.ts";
import { decodeProgress } from "./reader-progress.ts";
import { stagingPrefix } from "./staging-put.ts";
import { progressPrefix } from "./storage-keys.ts";

export interface PurgeBytesPorts {
  readonly store: CoordinationStore;
  readonly transport: JournalTransport;
  readonly stagingStore: ObjectStore;
  readonly stores: ObjectStores;
  /** Where fragments of partition journals are, whatever the spec of one says that may be gone. */
  readonly fragmentStores: readonly string[];
  readonly logger: Logger;
}

/** @throws {WireError} of brokers and stores */
export async function removeBytes(
  ports: PurgeBytesPorts,
  life: SinkLife & { readonly journals: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  const { stagingStore, stores, fragmentStores, logger } = ports;
  const listed = await journalsOf(ports.transport, life, signal);
  const names = new Set([...life.journals, deadLetterJournal(life), ...listed.map(({ spec }) => spec.name)]);
  const urls = new Set([...fragmentStores, ...listed.flatMap(({ spec }) => spec.fragment.stores)]);
  // Nothing is appended, and no fragment begins, once the specs are gone.
  await removeSpecs(ports.transport, listed, signal);
  let removed = 0;
  for (const name of names) {
    for (const url of urls) removed += await removeAll(stores.open(url), `${name}/`, signal);
    removed += await removeAll(stagingStore, stagingPrefix(name), signal);
  }
  await removeProgress(ports.store, life, names, signal);
  logger.info("purged-bytes-removed", { sink: sinkPath(life), journals: listed.length, objects: removed });
}

/** Also journals that a door has made and no partition has. */
async function journalsOf(
  transport: JournalTransport,
  life: SinkLife,
  signal: AbortSignal,
): Promise<readonly ListedJournal[]> {
  const include = labelSet([FRAME_LABELS.sink, life.sinkId], [FRAME_LABELS.source, life.sourceId]);
  const { journals } = await listJournals(transport, { ...ANY_LABELS, include }, signal);
  const prefix = journalsPrefix(life);
  return journals.filter(({ spec }) => spec.name.startsWith(prefix));
}

async function removeSpecs(
  transport: JournalTransport,
  listed: readonly ListedJournal[],
  signal: AbortSignal,
): Promise<void> {
  const changes = listed.map(({ spec, modRevision }) => deleteChange(spec.name, modRevision));
  await applyJournals(transport, changes, signal);
}

async function removeAll(store: ObjectStore, prefix: string, signal: AbortSignal): Promise<number> {
  let removed = 0;
  for await (const { path } of store.list(prefix, signal)) {
    await store.remove(path, signal);
    removed++;
  }
  return removed;
}

/** What a reader that had not heard of the purge has published since. */
async function removeProgress(
  store: CoordinationStore,
  life: SinkLife,
  names: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const { kvs } = await store.range(prefixRange(progressPrefix(life)), signal);
  for (const { key, value, modRevision } of kvs) {
    const { journal } = decodeProgress(value, key);
    if (journal === undefined || !names.has(journal)) continue;
    const compare = [{ target: "mod", key, op: "=", revision: modRevision } as const];
    await store.txn({ compare, success: [{ kind: "delete", key }] }, signal);
  }
}
