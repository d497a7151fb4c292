// The back of ingest put together: storage-reader (tails) and storage-coordinator (rotation, import, clean-up), in one
// process or each in its own, over one mirror of the storage model.
import {
  Gate,
  TaskGroup,
  WireError,
  type Clock,
  type Logger,
  type Metrics,
  type Random,
} from "@millrace/base";
import { readHead, type JournalTransport } from "@millrace/client";
import { addMirrorMetrics, type CoordinationStore, type StoreOp } from "@millrace/metadata";
import type { Fragment } from "@millrace/protocol";
import type { ObjectStore, ObjectStores } from "@millrace/stores";
import { AppendedEnds } from "./appended-ends.ts";
import { Backlog } from "./backlog.ts";
import { Cleanup, importedEnd, type CleanupOptions } from "./cleanup.ts";
import { StoreTrimmer } from "./cleanup-fragments.ts";
import { Coordinator } from "./coordinator.ts";
import { keepLetters } from "./dead-letter-retention.ts";
import { sinkPath, type SinkKey } from "./definitions.ts";
import { Importer, type ImporterOptions } from "./importer.ts";
import { PartitionIntegrity, type PartitionEnds } from "./partition-integrity.ts";
import type { ProgressFeed } from "./reader-progress.ts";
import { publishedFeed, publishProgress } from "./reader-publisher.ts";
import type { OnAppended } from "./publisher.ts";
import { StorageReader, type ReaderOptions } from "./reader.ts";
import type { LagFeed } from "./sink-lag.ts";
import { StorageStatistics } from "./statistics.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import { retryWaitMs } from "./retry-block.ts";
import type { PartitionKey, Slice, StorageFile } from "./storage-entities.ts";
import { laneOf } from "./storage-limits.ts";
import { encodeJson } from "./storage-codec.ts";
import { resetKey } from "./storage-keys.ts";
import { storageMetrics, type StorageMetrics } from "./storage-metrics.ts";
import { StorageStore } from "./storage-store.ts";
import type { Stored } from "./storage-view.ts";
import type { TargetRegistry } from "./target.ts";
import { ownsAll, type WorkOwner } from "./work-owner.ts";

export interface PipelinePorts {
  readonly store: CoordinationStore;
  readonly transport: JournalTransport;
  readonly stagingStore: ObjectStore;
  /** Where fragments of partition journals are; absent: they are never removed. */
  readonly stores?: ObjectStores;
  /** Told of each fragment that was removed from its store: a broker of this process need not miss it. */
  readonly onFragmentRemoved?: (fragment: Fragment) => void;
  readonly targets: TargetRegistry;
  /** Default false: it is in this process. */
  readonly isWarehouseElsewhere?: boolean;
  readonly catalog: SinkCatalog;
  /** What this process reads and coordinates; absent: everything. */
  readonly shares?: { readonly reader: WorkOwner; readonly coordinator: WorkOwner };
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export type PipelineComponent = "storage-reader" | "storage-coordinator";

export interface PipelineOptions {
  /** Default both. A coordinator follows what is published of the partitions that this process does not read. */
  readonly components?: readonly PipelineComponent[];
  readonly reader?: ReaderOptions;
  readonly importer?: ImporterOptions;
  readonly cleanup?: CleanupOptions;
  /** Whether a reader publishes its progress for other processes. Default: when it has no coordinator beside it. */
  readonly publishes?: boolean;
  /** Default 200. */
  readonly publishIntervalMs?: number;
}

/**
 * `lost`: a partition that has lost acknowledged bytes and takes no records. `unreadable`: one that cannot be read.
 * `retrying`: a slice or a file that failed and is tried again. `undecodable`: entities that are not readable.
 */
export type ProblemKind = "lost" | "unreadable" | "retrying" | "undecodable";

export interface PipelineProblem {
  readonly kind: ProblemKind;
  /** A partition's journal, a slice or a file. */
  readonly subject: string;
  /** Path of the sink whose matter it is; undefined when it is everybody's. */
  readonly sink: string | undefined;
  readonly problem: string;
}

export interface PipelineHealth {
  /** False: something that was accepted does not get on without time or a person. Accepting goes on all the same. */
  readonly healthy: boolean;
  readonly problems: readonly PipelineProblem[];
}

export interface DrainOutcome {
  /** Journals with bytes that are not in their table, and how many bytes; empty when everything is. */
  readonly remaining: ReadonlyMap<string, number>;
}

type InnerPorts = Omit<PipelinePorts, "metrics"> & {
  readonly storage: StorageStore;
  readonly integrity: PartitionIntegrity;
  readonly metrics: StorageMetrics;
};

/** From one publication to the next of a sink that is coordinated here: for statistics only. */
const OWN_SPACING_MS = 2000;

/** A drain waits for a try that comes within this time. */
const RETRY_SOON_MS = 2000;

const EVERYTHING: readonly PipelineComponent[] = ["storage-reader", "storage-coordinator"];

/** Loads the storage model and starts the components. @throws {WireError} of the coordination store */
export async function openPipeline(
  ports: PipelinePorts,
  options: PipelineOptions,
  signal: AbortSignal,
): Promise<Pipeline> {
  const storage = new StorageStore(ports);
  await storage.load(signal);
  return new Pipeline(storage, ports, options);
}

export class Pipeline {
  readonly statistics: StorageStatistics;
  /** For the doors of the same process. */
  readonly integrity: PartitionIntegrity;
  /** The same: what they append waits for its table, whoever reads it. */
  readonly onAppended: OnAppended;
  readonly #storage: StorageStore;
  readonly #ports: PipelinePorts;
  readonly #tasks: TaskGroup;
  readonly #reader: StorageReader | undefined;
  readonly #coordinator: Coordinator | undefined;
  readonly #shares: { readonly reader: WorkOwner; readonly coordinator: WorkOwner };
  readonly #changed = new Gate();
  readonly #stops: (() => void)[] = [];
  /** Of a coordinator. */
  #backlog: Backlog | undefined;
  #onFailure: (error: unknown) => void = () => {};
  /** Rejects with the first failure that is a bug; never resolves. */
  readonly failure: Promise<never>;

  /** Use {@link openPipeline}. */
  constructor(storage: StorageStore, ports: PipelinePorts, options: PipelineOptions) {
    this.#storage = storage;
    this.#ports = ports;
    this.failure = new Promise<never>((_, reject) => {
      this.#onFailure = reject;
    });
    this.failure.catch(() => {});
    this.#tasks = new TaskGroup("pipeline", (_task, error) => this.#onFailure(error));
    const components = options.components ?? EVERYTHING;
    const appended = new AppendedEnds(storage.view);
    const ends: PartitionEnds = {
      taken: (key, journal) => appended.taken(key, journal),
      known: (key, journal) => appended.known(key, journal),
      heard: (key, journal) => Math.max(appended.known(key, journal), feed.writeHead(key) ?? 0),
      forget: (key) => appended.forget(key),
    };
    this.integrity = new PartitionIntegrity({ ...ports, ends });
    const inner = { ...ports, storage, integrity: this.integrity, metrics: storageMetrics(ports.metrics) };
    this.#shares = ports.shares ?? { reader: ownsAll, coordinator: ownsAll };
    const reader = components.includes("storage-reader")
      ? new StorageReader({ ...inner, share: this.#shares.reader }, options.reader ?? {})
      : undefined;
    this.onAppended = (key, journal, end) => {
      appended.note(key, journal, end);
      this.#backlog?.note(sinkPath(key));
    };
    const feed = feedOf(storage, reader, appended);
    const coordinator = components.includes("storage-coordinator")
      ? new Coordinator({ ...inner, feed, share: this.#shares.coordinator })
      : undefined;
    this.#reader = reader;
    this.#coordinator = coordinator;
    this.statistics = new StorageStatistics(storage.view, feed);
    this.#tasks.spawn("storage model", (signal) => storage.run(signal));
    this.#stops.push(
      storage.observe((paths) => this.#onChanged(paths)),
      addMirrorMetrics(ports.metrics, "storage", () => storage.size),
    );
    if (coordinator !== undefined) this.#backlog = this.#openBacklog();
    if (reader !== undefined) this.#startReader(reader, inner, coordinator, options);
    if (coordinator !== undefined) this.#startCoordinator(coordinator, inner, options);
  }

  /**
   * Statistics of `sinks` begin anew: at most a source's hundred, in one transaction.
   * @throws {WireError} what the store says
   */
  async clearStatistics(sinks: readonly SinkKey[], signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#ports;
    const nowMs = clock.wallMs();
    const success = sinks.flatMap((key): StoreOp[] => {
      const reset = this.statistics.resetOf(key, nowMs);
      return reset === undefined ? [] : [{ kind: "put", key: resetKey(key), value: encodeJson(reset) }];
    });
    if (success.length === 0) return;
    await store.txn({ compare: [], success }, signal);
    await this.#storage.sync(signal);
  }

  /** Opens after every change of what `statistics` shows: of the store, and of what readers have read. */
  get changed(): Gate {
    return this.#changed;
  }

  health(): PipelineHealth {
    const problems: PipelineProblem[] = [];
    for (const { key, journal, problem } of this.#reader?.problems() ?? []) {
      const kind = problem.isLost ? "lost" : "unreadable";
      problems.push({ kind, subject: journal, sink: sinkPath(key), problem: problem.reason });
    }
    for (const [path, sink] of this.#storage.view.sinks) {
      for (const { entity, slices } of sink.files.values()) {
        for (const stored of entity === undefined ? slices.values() : [entity, ...slices.values()]) {
          const { retry } = stored.value;
          if (retry === undefined) continue;
          problems.push({ kind: "retrying", subject: stored.key, sink: path, problem: retry.reason });
        }
      }
    }
    const { undecodable } = this.#storage;
    if (undecodable > 0) {
      const problem = `${undecodable} entities are not readable`;
      problems.push({ kind: "undecodable", subject: "storage model", sink: undefined, problem });
    }
    return { healthy: problems.length === 0, problems };
  }

  /**
   * Gets everything that stands in the partitions now into its table, conditions or not. Call when nothing is accepted
   * any more, then close. It does not wait for what has failed and is not tried again soon: a table that refuses its
   * rows would take all the time there is.
   * @param signal ends the waiting: what remains is done after the next start
   */
  async drain(signal: AbortSignal): Promise<DrainOutcome> {
    this.#coordinator?.drain();
    const heads = await this.#heads(signal);
    for (;;) {
      const remaining = new Map<string, number>();
      let moves = false;
      for (const { key, journal, head } of heads) {
        if (!this.#isOurs(key, journal)) continue;
        const partition = this.#storage.view.partition(key);
        const imported = partition === undefined ? head : importedEnd(partition);
        if (imported >= head) continue;
        remaining.set(journal, head - imported);
        moves ||= !this.#isStuck(key);
      }
      if (!moves || this.#coordinator === undefined) return { remaining };
      try {
        await this.#changed.next(signal);
      } catch {
        return { remaining };
      }
    }
  }

  /** Stops at once; what is under way is done again after the next start. */
  async close(): Promise<void> {
    for (const stop of this.#stops.splice(0)) stop();
    await this.#tasks.close();
  }

  #openBacklog(): Backlog {
    const backlog = new Backlog({
      ...this.#ports,
      behind: (path, nowMs) => this.statistics.behind(path, nowMs),
      all: () => this.#storage.view.sinks.keys(),
      share: this.#shares.coordinator,
    });
    this.#stops.push(() => backlog.close());
    return backlog;
  }

  #onChanged(paths: Iterable<string>): void {
    if (this.#backlog !== undefined) for (const path of paths) this.#backlog.note(path);
    this.#changed.open();
  }

  #startReader(
    reader: StorageReader,
    inner: InnerPorts,
    coordinator: Coordinator | undefined,
    options: PipelineOptions,
  ): void {
    this.#stops.push(
      reader.onProgress((path) => {
        coordinator?.onProgress(path);
        this.#onChanged([path]);
      }),
    );
    this.#tasks.spawn("storage-reader", (signal) => reader.run(signal));
    if (options.publishes !== true && coordinator !== undefined) return;
    const publisher = { ...inner, feed: reader };
    const intervalMs = options.publishIntervalMs ?? 200;
    const isOwn = (path: string): boolean => coordinator !== undefined && this.#shares.coordinator.owns(path);
    const spacing = { intervalMs, spacingMs: (path: string) => (isOwn(path) ? OWN_SPACING_MS : 0) };
    this.#tasks.spawn("progress", (signal) => publishProgress(publisher, spacing, signal));
  }

  #startCoordinator(coordinator: Coordinator, inner: InnerPorts, options: PipelineOptions): void {
    const { transport, stores, logger, onFragmentRemoved: onRemoved = () => undefined } = inner;
    const trimmer =
      stores === undefined ? undefined : new StoreTrimmer({ transport, stores, logger, onRemoved });
    const share = this.#shares.coordinator;
    const trims = trimmer === undefined ? {} : { trimmer };
    const cleanup = new Cleanup({ ...inner, ...trims, share }, options.cleanup ?? {});
    const importer = new Importer({ ...inner, share }, options.importer ?? {});
    importer.onImported = (file, slices) => cleanup.onImported(file, slices);
    this.#tasks.spawn("storage-coordinator", (signal) => coordinator.run(signal));
    this.#tasks.spawn("importer", (signal) => importer.run(signal));
    this.#tasks.spawn("cleanup", (signal) => cleanup.run(signal));
    if (trimmer === undefined) return;
    this.#tasks.spawn("dead letters", (signal) => keepLetters({ ...inner, trimmer, share }, signal));
  }

  /** Whether this process gets on with a partition: others' are theirs. */
  #isOurs(key: PartitionKey, journal: string): boolean {
    const { reader, coordinator } = this.#shares;
    return this.#coordinator === undefined ? reader.owns(journal) : coordinator.owns(sinkPath(key));
  }

  /** Whether rows of a partition wait for a person, or for a try that is not soon. */
  #isStuck(key: PartitionKey): boolean {
    if (this.#reader?.status(key)?.problem?.isLasting === true) return true;
    const sink = this.#storage.view.sink(key);
    const nowMs = this.#ports.clock.wallMs();
    const waits = (stored: Stored<Slice | StorageFile> | undefined): boolean => {
      return stored !== undefined && retryWaitMs(stored.value.retry, nowMs) > RETRY_SOON_MS;
    };
    if (sink?.partitions.get(key.n)?.slices.some(waits) === true) return true;
    const files = [...(sink?.files.values() ?? [])].map(({ entity }) => entity);
    return files.some((file) => file?.value.lane === laneOf(key.n) && waits(file));
  }

  /** Write heads of all active partitions now. One that cannot be asked counts as what was read of it. */
  async #heads(signal: AbortSignal): Promise<{ key: PartitionKey; journal: string; head: number }[]> {
    const heads: { key: PartitionKey; journal: string; head: number }[] = [];
    for (const sink of this.#storage.view.sinks.values()) {
      for (const { n, entity } of sink.partitions.values()) {
        if (entity?.value.state !== "active") continue;
        const key = { ...sink.key, n };
        const { journal, staged } = entity.value;
        const known = Math.max(staged.offset, this.#reader?.status(key)?.offset ?? 0);
        try {
          const { writeHead } = await readHead(this.#ports.transport, journal, signal);
          heads.push({ key, journal, head: Math.max(known, writeHead) });
        } catch (error) {
          // All of a suspended one was read long ago.
          if (WireError.from(error).code !== "SUSPENDED")
            this.#ports.logger.warn("write-head-unknown", { journal, sink: sinkPath(key), error });
          heads.push({ key, journal, head: known });
        }
      }
    }
    return heads;
  }
}

/** What this process reads as its reader sees it, the rest as it was published. */
function feedOf(storage: StorageStore, reader: StorageReader | undefined, appended: AppendedEnds): LagFeed {
  const published = publishedFeed(storage.view);
  const of = (key: PartitionKey): ProgressFeed => (reader?.status(key) === undefined ? published : reader);
  return {
    progress: (key) => of(key).progress(key),
    seal: (key) => of(key).seal(key),
    writeHead: (key) => {
      const partition = storage.view.partition(key);
      const own = partition === undefined ? 0 : appended.of(partition);
      return Math.max(reader?.status(key)?.writeHead ?? published.progress(key)?.writeHead ?? 0, own);
    },
  };
}
