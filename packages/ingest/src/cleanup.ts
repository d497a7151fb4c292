// What is done is removed (D27): staged objects of imported slices at once, imported files with their slices after an
// hour or beyond the newest 30 of a sink, imported fragments of partition journals after a day or beyond 2 GiB.
//
// L1 Only what is imported is ever removed. A file that failed stays, and says why, until somebody mends it.
// L2 Files go from the oldest on, so the slices that remain still tile their partition.
// L3 What a removed file had loaded is added to the sink's sum in the same transaction.
// L4 Only persisted fragments are removed. Imported bytes that are still local are looked for again, without waiting
//    for another import; partitions close their fragments in time (flush interval of their specs).
import { TaskGroup, WireError, type Clock, type Logger } from "@millrace/base";
import type { ObjectStore } from "@millrace/stores";
import type { FragmentPolicy, ImportedJournal, JournalTrimmer } from "./cleanup-fragments.ts";
import { sinkPath } from "./definitions.ts";
import { stagedEnd, stagingPrefix } from "./staging-put.ts";
import type { StorageChange } from "./storage-change.ts";
import {
  addStatistics,
  NO_STATISTICS,
  type SinkSum,
  type SliceImported,
  type SliceUploaded,
  type StorageFile,
} from "./storage-entities.ts";
import { msOf } from "./storage-json.ts";
import {
  FRAGMENTS_KEPT_BYTES,
  FRAGMENTS_KEPT_MS,
  IMPORTED_FILES_KEPT,
  IMPORTED_FILES_KEPT_MS,
  TXN_OPS_MAX,
} from "./storage-limits.ts";
import type { StorageMetrics } from "./storage-metrics.ts";
import type { StorageStore } from "./storage-store.ts";
import type { PartitionView, SinkView, Stored } from "./storage-view.ts";
import type { WorkOwner } from "./work-owner.ts";

export interface CleanupPorts {
  readonly storage: StorageStore;
  readonly stagingStore: ObjectStore;
  /** Absent: partition journals are left alone. */
  readonly trimmer?: JournalTrimmer;
  /** Of sinks, by their paths. */
  readonly share: WorkOwner;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
}

export interface CleanupOptions {
  readonly filesKept?: number;
  readonly filesKeptMs?: number;
  readonly fragments?: FragmentPolicy;
}

/** From the moment that something can be removed until it is: many go in one transaction. */
const REMOVE_DELAY_MS = 1000;
/** From an import to looking for fragments to trim. */
const TRIM_DELAY_MS = 30_000;
/** Between two searches for staged objects that nobody knows, while there are imports. */
const SWEEP_INTERVAL_MS = 3_600_000;
const RETRY_MS = 10_000;

const CLEANUPS = { files: "file-cleanup", sweep: "staging-cleanup", trim: "fragment-cleanup" } as const;

/** What is cleaned up: `sweep` all staging, the others a sink. */
type Chore =
  | { readonly kind: "sweep"; readonly path?: undefined }
  | { readonly kind: "files" | "trim"; readonly path: string };

type Imported = Stored<Extract<StorageFile, { state: "imported" }>>;

export class Cleanup {
  readonly #ports: CleanupPorts;
  readonly #filesKept: number;
  readonly #filesKeptMs: number;
  readonly #fragments: FragmentPolicy;
  readonly #timers = new Map<string, { readonly dueMs: number; readonly cancel: () => void }>();
  #tasks: TaskGroup | undefined;

  constructor(ports: CleanupPorts, options: CleanupOptions) {
    this.#ports = ports;
    this.#filesKept = options.filesKept ?? IMPORTED_FILES_KEPT;
    this.#filesKeptMs = options.filesKeptMs ?? IMPORTED_FILES_KEPT_MS;
    this.#fragments = options.fragments ?? { keptMs: FRAGMENTS_KEPT_MS, keptBytes: FRAGMENTS_KEPT_BYTES };
  }

  /** Works until `signal` aborts. Call once. @throws the first failure that is a bug */
  async run(signal: AbortSignal): Promise<void> {
    let fail: (error: unknown) => void = () => {};
    const failure = new Promise<never>((_, reject) => {
      fail = reject;
    });
    this.#tasks = new TaskGroup("cleanup", (_task, error) => fail(error));
    const tasks = this.#tasks;
    const { storage, share } = this.#ports;
    const lookAtAll = (): void => {
      for (const path of storage.view.sinks.keys()) {
        this.#look(path);
        this.#trimAfter(path, TRIM_DELAY_MS);
      }
      this.#after({ kind: "sweep" }, REMOVE_DELAY_MS, (inner) => this.#sweep(inner));
    };
    const unobserve = [
      storage.observe((paths) => {
        for (const path of paths) this.#look(path);
      }),
      share.observe(lookAtAll),
    ];
    lookAtAll();
    try {
      await Promise.race([failure, new Promise<void>((resolve) => onAbort(signal, resolve))]);
    } finally {
      for (const end of unobserve) end();
      for (const { cancel } of this.#timers.values()) cancel();
      this.#timers.clear();
      this.#tasks = undefined;
      await tasks.close();
    }
  }

  /** The rows of these slices are in their table: nobody reads their objects again. */
  onImported(file: StorageFile, slices: readonly SliceUploaded[]): void {
    this.#trimAfter(sinkPath(file), TRIM_DELAY_MS);
    this.#after({ kind: "sweep" }, SWEEP_INTERVAL_MS, (signal) => this.#sweep(signal));
    const paths = slices.flatMap(({ objects }) => objects.map(({ path }) => path));
    if (paths.length === 0) return;
    this.#tasks?.spawn("staged objects", async (signal) => {
      try {
        for (const path of paths) await this.#ports.stagingStore.remove(path, signal);
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        this.#failed("staged-objects", WireError.from(thrown)); // the next sweep finds them
      }
    });
  }

  /** Runs `task` after `ms`; an earlier run that is due already wins. */
  #after(chore: Chore, ms: number, task: (signal: AbortSignal) => Promise<void>): void {
    const { clock, metrics } = this.#ports;
    const name = nameOf(chore);
    const dueMs = clock.monotonicMs() + ms;
    const known = this.#timers.get(name);
    if (known !== undefined && known.dueMs <= dueMs) return;
    known?.cancel();
    const cancel = clock.after(ms, () => {
      this.#timers.delete(name);
      this.#tasks?.spawn(name, async (signal) => {
        try {
          await metrics.operations.of(CLEANUPS[chore.kind], clock, () => task(signal));
        } catch (thrown) {
          if (signal.aborted) throw thrown;
          this.#failed(name, WireError.from(thrown));
          this.#after(chore, RETRY_MS, task);
        }
      });
    });
    this.#timers.set(name, { dueMs, cancel });
  }

  #failed(task: string, error: WireError): void {
    this.#ports.metrics.failures.add(1, { operation: "cleanup", code: error.code });
    this.#ports.logger.warn("cleanup-failed", { task, error });
  }

  // Files

  #look(path: string): void {
    const sink = this.#ports.storage.view.sinks.get(path);
    const soonMs = this.#ports.clock.monotonicMs() + REMOVE_DELAY_MS;
    if (
      sink === undefined ||
      (this.#timers.get(nameOf({ kind: "files", path }))?.dueMs ?? Number.POSITIVE_INFINITY) <= soonMs
    )
      return;
    const { waitMs } = this.#removable(sink);
    if (waitMs === undefined || !this.#ports.share.owns(path)) return;
    this.#after({ kind: "files", path }, Math.max(REMOVE_DELAY_MS, waitMs), (signal) =>
      this.#removeFiles(path, signal),
    );
  }

  /** Files that may go now, oldest first, or ms until one may. */
  #removable(sink: SinkView): { readonly files: readonly Imported[]; readonly waitMs: number | undefined } {
    const imported = [...sink.files.values()]
      .map(({ entity }) => entity)
      .filter((entity): entity is Imported => entity?.value.state === "imported")
      .sort((a, b) => Number(a.value.fileId) - Number(b.value.fileId));
    const nowMs = this.#ports.clock.wallMs();
    const surplus = imported.length - this.#filesKept;
    const files: Imported[] = [];
    for (const [i, file] of imported.entries()) {
      const leftMs = this.#keptFor(msOf(file.value.importedAt) - nowMs);
      if (i >= surplus && leftMs > 0) return { files, waitMs: files.length > 0 ? 0 : leftMs };
      files.push(file);
    }
    return { files, waitMs: files.length > 0 ? 0 : undefined };
  }

  /** @param aheadMs of a time that lies in the future: beyond what clocks differ by, the clock was set back since */
  #keptFor(aheadMs: number): number {
    return aheadMs > this.#filesKeptMs ? 0 : aheadMs + this.#filesKeptMs;
  }

  async #removeFiles(path: string, signal: AbortSignal): Promise<void> {
    const { storage, metrics } = this.#ports;
    for (;;) {
      const sink = storage.view.sinks.get(path);
      if (sink === undefined || !this.#ports.share.owns(path)) return;
      const { files } = this.#removable(sink);
      if (files.length === 0) return this.#look(path);
      const { changes, count } = removal(sink, files);
      if (await storage.commit(changes, signal)) metrics.removedFiles.add(count);
    }
  }

  // Staged objects that nobody knows

  /**
   * Removes objects of slices that are imported: left by a process that ended, or by a put whose outcome was
   * unknown.
   */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { storage, stagingStore, share, logger } = this.#ports;
    const importedTo = new Map<string, number>();
    for (const [path, sink] of storage.view.sinks) {
      if (!share.owns(path)) continue;
      for (const partition of sink.partitions.values()) {
        const journal = partition.entity?.value.journal;
        if (journal !== undefined) importedTo.set(stagingPrefix(journal), importedEnd(partition));
      }
    }
    let removed = 0;
    for await (const { path } of stagingStore.list("", signal)) {
      const end = stagedEnd(path);
      const imported = importedTo.get(path.slice(0, path.lastIndexOf("/") + 1));
      if (end === undefined || imported === undefined || end > imported) continue;
      await stagingStore.remove(path, signal);
      removed++;
    }
    if (removed > 0) logger.info("staging-swept", { removed });
  }

  // Fragments

  #trimAfter(path: string, ms: number): void {
    if (this.#ports.trimmer === undefined) return;
    this.#after({ kind: "trim", path }, ms, (signal) => this.#trim(path, signal));
  }

  async #trim(path: string, signal: AbortSignal): Promise<void> {
    const { storage, trimmer, share, clock, metrics } = this.#ports;
    const sink = storage.view.sinks.get(path);
    if (sink === undefined || trimmer === undefined || !share.owns(path)) return;
    const journals: ImportedJournal[] = [];
    for (const partition of sink.partitions.values()) {
      const imported = importedEnd(partition);
      if (partition.entity !== undefined && imported > 0) {
        journals.push({ journal: partition.entity.value.journal, imported, ...keysOf(partition, imported) });
      }
    }
    const { removed, againMs } = await trimmer.trim(journals, this.#fragments, clock.wallMs(), signal);
    metrics.removedFragments.add(removed);
    if (againMs !== undefined) this.#trimAfter(path, Math.max(TRIM_DELAY_MS, againMs));
  }
}

/** What must be kept of a partition because of its keys: of the reader, and of slices that may be staged again. */
export function keysOf(
  { entity, slices }: PartitionView,
  imported: number,
): Omit<ImportedJournal, "journal" | "imported"> {
  let keysBegin = entity?.value.staged.keysBegin ?? imported;
  let isBehind = false;
  for (const { value } of slices) {
    if (value.state === "uploaded") keysBegin = Math.min(keysBegin, value.keysBegin ?? imported);
    isBehind ||= value.state !== "imported" && value.state !== "writing";
  }
  return { keysBegin, isBehind, stagedEnd: entity?.value.staged.offset ?? imported };
}

/** Everything of the partition below this offset is in the table. */
export function importedEnd(partition: PartitionView): number {
  const { slices, entity } = partition;
  const open = slices.find(({ value }) => value.state !== "imported");
  if (open !== undefined) return open.value.begin;
  return entity?.value.state === "retired" ? entity.value.end : 0;
}

/** The transaction that removes as many of `files` as fit into one (L2, L3). */
export function removal(
  sink: Pick<SinkView, "key" | "sum" | "files">,
  files: readonly Imported[],
): { changes: StorageChange[]; count: number } {
  const changes: StorageChange[] = [];
  let statistics = sink.sum?.value.statistics ?? NO_STATISTICS;
  let sliceCount = 0;
  let count = 0;
  for (const file of files) {
    const slices = [...(sink.files.get(file.value.fileId)?.slices.values() ?? [])] as Stored<SliceImported>[];
    if (count > 0 && changes.length + slices.length + 2 > TXN_OPS_MAX) break;
    changes.push({ kind: "file", before: file, after: undefined });
    for (const slice of slices) {
      changes.push({ kind: "slice", before: slice, after: undefined });
      statistics = addStatistics(statistics, slice.value.statistics);
    }
    sliceCount += slices.length;
    count++;
  }
  const { projectId, branchId, sourceId, sinkId } = sink.key;
  const sum: SinkSum = {
    projectId,
    branchId,
    sourceId,
    sinkId,
    files: (sink.sum?.value.files ?? 0) + count,
    slices: (sink.sum?.value.slices ?? 0) + sliceCount,
    statistics,
  };
  changes.push({ kind: "sum", before: sink.sum, after: sum });
  return { changes, count };
}

function nameOf({ kind, path = "" }: Chore): string {
  return `${kind} ${path}`;
}

function onAbort(signal: AbortSignal, run: () => void): void {
  if (signal.aborted) run();
  else signal.addEventListener("abort", run, { once: true });
}
