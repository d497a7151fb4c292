// Imports files into their targets, exactly once (D23).
//
// I1 The target decides: an import names [begin, end) of each partition, and is done, was done, or is refused. Whatever
//    the outcome of an attempt was, asking again is right.
// I2 Files of a lane are imported in order; a sink has one import at a time.
// I3 A refusal is never forced: it is an error for a person, unless the loaded ends say that all of it was done.
// I4 Staged objects that are not what was staged are staged again from the journal before the next attempt.
import {
  abortScope,
  TaskGroup,
  WireError,
  type Clock,
  type Code,
  type Logger,
  type Random,
} from "@millrace/base";
import type { Column, SinkKey } from "./definitions.ts";
import { IMPORT_BOUNDS, ImportSlots, type ImportBounds } from "./import-slots.ts";
import { endImportChanges, type FileIn } from "./coordinator-changes.ts";
import { afterFailure, retryWaitMs } from "./retry-block.ts";
import { stageAgain, type RepairPorts } from "./staging-repair.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import type { StorageChange } from "./storage-change.ts";
import {
  addStatistics,
  NO_STATISTICS,
  type Slice,
  type SliceUploaded,
  type StorageFile,
} from "./storage-entities.ts";
import { msOf } from "./storage-json.ts";
import type { StorageMetrics } from "./storage-metrics.ts";
import { isPassing, type StorageStore } from "./storage-store.ts";
import { withRetry } from "./storage-transitions.ts";
import type { SinkView, Stored } from "./storage-view.ts";
import { isSameTarget, shownTarget, targetOf } from "./target-ref.ts";
import type { TargetKind } from "./target-settings.ts";
import type { LoadOutcome, LoadRequest, PartitionLoad, StagedObject, TargetRegistry } from "./target.ts";
import type { WorkOwner } from "./work-owner.ts";

export interface ImporterPorts extends RepairPorts {
  readonly storage: StorageStore;
  readonly catalog: SinkCatalog;
  readonly targets: TargetRegistry;
  /** Of sinks, by their paths. */
  readonly share: WorkOwner;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
}

export interface ImporterOptions {
  /** After this time an attempt is given up and asked again later. Default 15 min. */
  readonly importTimeoutMs?: number;
  /** Sinks that are imported at the same time. Default IMPORT_BOUNDS. */
  readonly bounds?: ImportBounds;
}

type Importing = Stored<FileIn<"importing">>;

/** Before looking again at a file that somebody else has changed meanwhile. */
const CONFLICT_WAIT_MS = 100;

/** Why a file could not be imported, for its retry block. */
class ImportFailure extends Error {
  readonly code: Code;
  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

export class Importer {
  readonly #ports: ImporterPorts;
  readonly #timeoutMs: number;
  readonly #slots: ImportSlots;
  readonly #random: Random;
  /** Sinks with an import under way. */
  readonly #busy = new Set<string>();
  /** Sinks that wait for room, by the place that their next file goes to. */
  readonly #waiting = new Map<string, Set<string>>();
  readonly #timers = new Map<string, () => void>();
  #tasks: TaskGroup | undefined;
  /** Told of each file that was imported, with its slices as they were. */
  onImported: (file: StorageFile, slices: readonly SliceUploaded[]) => void = () => {};

  constructor(ports: ImporterPorts, options: ImporterOptions) {
    this.#ports = ports;
    this.#timeoutMs = options.importTimeoutMs ?? 15 * 60_000;
    this.#slots = new ImportSlots(options.bounds ?? IMPORT_BOUNDS);
    this.#random = ports.random.fork("importer");
  }

  /** Works until `signal` aborts. Call once. @throws the first failure that is a bug */
  async run(signal: AbortSignal): Promise<void> {
    let fail: (error: unknown) => void = () => {};
    const failure = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const tasks = new TaskGroup("importer", (_task, error) => fail(error));
    this.#tasks = tasks;
    const { storage, share } = this.#ports;
    const lookAtAll = (): void => {
      for (const path of storage.view.sinks.keys()) this.#look(path);
    };
    const unobserve = [
      storage.observe((paths) => {
        for (const path of paths) this.#look(path);
      }),
      share.observe(lookAtAll),
    ];
    lookAtAll();
    let stop: () => void = () => {};
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", stop, { once: true });
    });
    try {
      await Promise.race([failure, stopped]);
    } finally {
      signal.removeEventListener("abort", stop);
      for (const end of unobserve) end();
      this.#tasks = undefined;
      for (const cancel of this.#timers.values()) cancel();
      await tasks.close();
    }
  }

  #look(path: string): void {
    if (this.#tasks === undefined || this.#busy.has(path) || !this.#ports.share.owns(path)) return;
    const { clock, storage } = this.#ports;
    const next = nextImport(storage.view.sinks.get(path), clock.wallMs());
    if (next === undefined) return;
    if (typeof next === "number") return this.#lookAfter(path, next);
    const place = shownTarget(next.value.target);
    if (!this.#slots.hasRoom(place)) {
      const waiting = this.#waiting.get(place) ?? new Set();
      this.#waiting.set(place, waiting.add(path));
      return;
    }
    this.#busy.add(path);
    this.#slots.begin(place);
    this.#show(next.value.target.kind);
    this.#tasks.spawn(path, async (signal) => {
      let failure: Code | undefined;
      try {
        failure = await this.#attempt(next, signal);
      } finally {
        this.#busy.delete(path);
        this.#slots.end(place, failure);
        this.#show(next.value.target.kind);
      }
      this.#look(path);
      this.#lookAtWaiting();
    });
  }

  #show(target: TargetKind): void {
    const { runningImports, failingTargets } = this.#ports.metrics;
    const { running, failing } = this.#slots.count(target);
    runningImports.set(running, { target });
    failingTargets.set(failing, { target });
  }

  #lookAtWaiting(): void {
    for (const [place, paths] of this.#waiting) {
      for (const path of paths) {
        if (!this.#slots.hasRoom(place)) break;
        paths.delete(path);
        this.#look(path);
      }
      if (paths.size === 0) this.#waiting.delete(place);
    }
  }

  #lookAfter(path: string, ms: number): void {
    this.#timers.get(path)?.();
    const cancel = this.#ports.clock.after(ms, () => {
      this.#timers.delete(path);
      this.#look(path);
    });
    this.#timers.set(path, cancel);
  }

  /** One attempt at one file. Leaves a retry block behind when it fails. @returns the code of its failure */
  async #attempt(file: Importing, signal: AbortSignal): Promise<Code | undefined> {
    const { storage, clock, logger, metrics } = this.#ports;
    const view = storage.view.sink(file.value);
    const slices = [
      ...(view?.files.get(file.value.fileId)?.slices.values() ?? []),
    ] as Stored<SliceUploaded>[];
    const startMs = clock.monotonicMs();
    const note = (outcome: "ok" | "conflict" | "failed"): void =>
      metrics.operations.note("import", outcome, clock.monotonicMs() - startMs);
    try {
      const request = await this.#request(file.value, slices, signal);
      const outcome =
        request.partitions.length === 0 ? "already" : await this.#load(file.value, request, signal);
      const nowMs = clock.wallMs();
      const made = await storage.commit(endImportChanges(file, slices, nowMs), signal);
      note(made ? "ok" : "conflict");
      if (!made) {
        await clock.sleep(CONFLICT_WAIT_MS, signal); // somebody else has imported it
        return undefined;
      }
      const { kind: target } = file.value.target;
      metrics.imports.add(1, { outcome, target });
      metrics.importSeconds.observe((clock.monotonicMs() - startMs) / 1000, { target });
      this.#count(slices, nowMs);
      const rows = request.partitions
        .flatMap(({ objects }) => objects)
        .reduce((sum, one) => sum + one.rows, 0);
      logger.debug("file-imported", { file: file.key, outcome, rows });
      this.onImported(
        file.value,
        slices.map(({ value }) => value),
      );
      return undefined;
    } catch (thrown) {
      note("failed");
      if (signal.aborted) throw thrown;
      const failure = thrown instanceof ImportFailure ? thrown : WireError.from(thrown);
      await this.#failed(file, slices, failure, signal);
      return failure.code;
    }
  }

  #count(slices: readonly Stored<SliceUploaded>[], nowMs: number): void {
    const total = slices.reduce((sum, { value }) => addStatistics(sum, value.statistics), NO_STATISTICS);
    const { metrics } = this.#ports;
    metrics.importedRecords.add(total.recordsCount);
    metrics.importedBytes.add(total.uncompressedSize);
    metrics.importedStagedBytes.add(
      slices.flatMap(({ value }) => value.objects).reduce((sum, object) => sum + object.bytes, 0),
    );
    if (total.firstRecordAt === undefined) return;
    metrics.visibleSeconds.observe(Math.max(0, nowMs - msOf(total.firstRecordAt)) / 1000);
  }

  async #request(
    file: StorageFile,
    slices: readonly Stored<SliceUploaded>[],
    signal: AbortSignal,
  ): Promise<LoadRequest> {
    const { catalog, storage } = this.#ports;
    const { target } = file;
    const columnsOf = new Map<number, readonly Column[]>();
    for (const { value } of slices) {
      for (const { sinkVersion } of value.objects) {
        if (columnsOf.has(sinkVersion)) continue;
        columnsOf.set(sinkVersion, await this.#columns(file, sinkVersion, signal));
      }
    }
    const definition = catalog.sink(file);
    const newest = Math.max(...columnsOf.keys());
    const goesOn = definition !== undefined && isSameTarget(targetOf(definition), target);
    const columns = goesOn ? definition.table.mapping.columns : (columnsOf.get(newest) ?? []);
    const partitions = partitionLoads(slices, columnsOf, (slice) => {
      return storage.view.partition(slice)!.entity!.value.journal;
    });
    return { target, columns, partitions };
  }

  async #columns(file: StorageFile, version: number, signal: AbortSignal): Promise<readonly Column[]> {
    try {
      return await this.#ports.catalog.columns(file, version, signal);
    } catch (thrown) {
      const { code, message } = WireError.from(thrown);
      if (code !== "NOT_FOUND") throw thrown;
      throw new ImportFailure("UNPROCESSABLE", `the columns of version ${version} are not known: ${message}`);
    }
  }

  async #load(sink: SinkKey, request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome["kind"]> {
    const { targets, clock } = this.#ports;
    const { tableId } = request.target;
    const target = await targets.open(request.target, sink, signal);
    const scope = abortScope(signal);
    const timeoutMs = this.#timeoutMs;
    const cancel = clock.after(timeoutMs, () => {
      scope.abort(new WireError("OUTCOME_UNKNOWN", `the target has not answered in ${timeoutMs} ms`));
    });
    try {
      const outcome = await target.load(request, scope.signal);
      if (outcome.kind !== "refused") return outcome.kind;
      const ends = await target.loadedEnds(tableId, scope.signal);
      if (request.partitions.every(({ journal, end }) => (ends.get(journal) ?? -1) >= end)) return "already"; // I3
      const { journal, begin, loadedEnd } = outcome;
      const has = loadedEnd === undefined ? "nothing" : `rows up to offset ${loadedEnd}`;
      throw new ImportFailure(
        "CONFLICT",
        `table ${tableId} has ${has} of ${journal}, this file begins at ${begin}: ` +
          "the table was changed from outside, or another installation loads it",
      );
    } finally {
      cancel();
      scope.dispose();
    }
  }

  async #failed(
    file: Importing,
    slices: readonly Stored<SliceUploaded>[],
    failure: ImportFailure | WireError,
    signal: AbortSignal,
  ): Promise<void> {
    const { storage, clock, logger, metrics } = this.#ports;
    const { code, message } = failure;
    const { target } = file.value;
    const where = target.connection === undefined ? "" : ` of ${shownTarget(target)}`;
    const reason = `import into ${target.tableId}${where} failed: ${message}`;
    const spread = this.#random.below(1000) / 1000;
    const passing = failure instanceof WireError && isPassing(failure);
    metrics.failures.add(1, { operation: "import", code });
    logger[passing ? "warn" : "error"]("import-failed", { file: file.key, code, message });
    try {
      const waitsFor = await this.#repair(file, slices, code, signal);
      const retry = afterFailure(file.value.retry, { code: waitsFor, reason }, clock.wallMs(), spread);
      await storage.commit([{ kind: "file", before: file, after: withRetry(file.value, retry) }], signal);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = WireError.from(thrown);
      logger.warn("import-retry-not-recorded", { file: file.key, error });
      await clock.sleep(1000, signal);
    }
  }

  /** I4: all objects of the file, since which one it was is not known for sure. @returns the code to wait for */
  async #repair(
    file: Importing,
    slices: readonly Stored<SliceUploaded>[],
    code: Code,
    signal: AbortSignal,
  ): Promise<Code> {
    if (code !== "CORRUPT" && code !== "NOT_FOUND") return code;
    const { storage, logger } = this.#ports;
    try {
      for (const slice of slices) {
        const journal = storage.view.partition(slice.value)!.entity!.value.journal;
        const after = await stageAgain(this.#ports, journal, slice.value, signal);
        const guard: StorageChange = { kind: "file", before: file, after: file.value };
        await storage.commit([guard, { kind: "slice", before: slice, after }], signal);
      }
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = WireError.from(thrown);
      logger.warn("file-not-staged-again", { file: file.key, error });
      return error.code;
    }
    logger.info("file-staged-again", { file: file.key, slices: slices.length });
    return "UNAVAILABLE";
  }
}

/** The file to import now, ms until there may be one, or undefined when only a change brings one (I2). */
function nextImport(sink: SinkView | undefined, nowMs: number): Importing | number | undefined {
  const oldest = new Map<number, Stored<StorageFile>>();
  for (const { entity } of sink?.files.values() ?? []) {
    if (entity === undefined || entity.value.state === "imported") continue;
    const known = oldest.get(entity.value.lane);
    if (known === undefined || Number(entity.value.fileId) < Number(known.value.fileId)) {
      oldest.set(entity.value.lane, entity);
    }
  }
  let waitMs: number | undefined;
  for (const file of [...oldest.values()].sort((a, b) => Number(a.value.fileId) - Number(b.value.fileId))) {
    if (file.value.state !== "importing") continue;
    const untilMs = retryWaitMs(file.value.retry, nowMs);
    if (untilMs === 0) return file as Importing;
    waitMs = Math.min(waitMs ?? Number.POSITIVE_INFINITY, untilMs);
  }
  return waitMs;
}

/** One load for each partition: its slices in the file follow each other. */
function partitionLoads(
  slices: readonly Stored<SliceUploaded>[],
  columnsOf: ReadonlyMap<number, readonly Column[]>,
  journalOf: (slice: Slice) => string,
): readonly PartitionLoad[] {
  const ordered = slices.map(({ value }) => value).sort((a, b) => a.n - b.n || a.begin - b.begin);
  const loads: (PartitionLoad & { objects: StagedObject[]; end: number; n: number })[] = [];
  for (const slice of ordered) {
    const objects = slice.objects.map((entry) => ({ ...entry, columns: columnsOf.get(entry.sinkVersion)! }));
    const last = loads.at(-1);
    if (last?.n === slice.n) {
      last.objects.push(...objects);
      last.end = slice.end;
      continue;
    }
    const { n, begin, end, startsTarget } = slice;
    loads.push({ n, journal: journalOf(slice), begin, end, objects, startsTarget });
  }
  return loads.map(({ journal, begin, end, objects, startsTarget }) => {
    return { journal, begin, end, objects, startsTarget };
  });
}
