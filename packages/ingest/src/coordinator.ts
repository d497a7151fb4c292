// Rotates slices and files and hands files over to their import: the shell around coordinator-plan.ts.
//
// Nothing is polled. A sink is looked at when something of it changed in the store, when its readers made progress, and
// when time alone makes a condition true. Progress under load comes with every chunk, so looks are spaced.
import { TaskGroup, WireError, type Clock, type Logger } from "@millrace/base";
import { sinkPath, DEFAULT_CONDITIONS } from "./definitions.ts";
import {
  beginImportChanges,
  rotateFileChanges,
  rotateSlicesChanges,
  type FileIn,
} from "./coordinator-changes.ts";
import {
  planLane,
  type FileReason,
  type LanePlan,
  type LaneState,
  type OpenSlice,
} from "./coordinator-plan.ts";
import type { ProgressFeed } from "./reader-progress.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import type { StorageChange } from "./storage-change.ts";
import type { Slice } from "./storage-entities.ts";
import type { StorageMetrics } from "./storage-metrics.ts";
import { isPassing, type StorageStore } from "./storage-store.ts";
import type { SinkView, Stored } from "./storage-view.ts";
import { targetOf } from "./target-ref.ts";
import type { WorkOwner } from "./work-owner.ts";

export interface CoordinatorPorts {
  readonly storage: StorageStore;
  readonly catalog: SinkCatalog;
  readonly feed: ProgressFeed;
  /** Of sinks, by their paths. */
  readonly share: WorkOwner;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
}

/** Milliseconds from one look at a sink to the next. */
const LOOK_SPACING_MS = 20;
/** First and longest wait after a failed look, doubled in between. */
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 5000;

/** Transactions of a sink that may fail in a row before it is left alone for a while. */
const CONFLICTS_MAX = 10;

interface Watched {
  readonly path: string;
  dirty: boolean;
  running: boolean;
  failures: number;
  /** Monotonic: no look before it. */
  notBeforeMs: number;
  timer: { readonly dueMs: number; readonly cancel: () => void } | undefined;
}

type Slices = ReadonlyMap<string, Stored<Slice>>;

/** A transaction, and what is noted once it was made. */
interface Step {
  /** Undefined: it is not measured. */
  readonly operation?: "slice-rotation" | "file-rotation";
  readonly changes: readonly StorageChange[];
  readonly onMade: () => void;
}

export class Coordinator {
  readonly #ports: CoordinatorPorts;
  readonly #watched = new Map<string, Watched>();
  #tasks: TaskGroup | undefined;
  #draining = false;

  constructor(ports: CoordinatorPorts) {
    this.#ports = ports;
  }

  /** Works until `signal` aborts. Call once. @throws the first failure that is a bug */
  async run(signal: AbortSignal): Promise<void> {
    const { storage, catalog, share } = this.#ports;
    let failed: Error | undefined;
    const tasks = new TaskGroup("coordinator", (_task, error) => {
      failed ??= error as Error;
    });
    this.#tasks = tasks;
    const unobserve = [
      storage.observe((paths) => {
        for (const path of paths) this.#look(path);
      }),
      catalog.observe((path) => this.#look(path)),
      share.observe(() => this.#lookAtAll()),
    ];
    this.#lookAtAll();
    try {
      await untilAborted([signal, tasks.signal]);
    } finally {
      for (const stop of unobserve) stop();
      for (const watched of this.#watched.values()) watched.timer?.cancel();
      this.#tasks = undefined;
      await tasks.close();
    }
    if (failed !== undefined) throw failed;
  }

  /** From now on everything is due as soon as it was read. */
  drain(): void {
    this.#draining = true;
    this.#lookAtAll();
  }

  /** A reader has read more of a sink. Called for every chunk: cheap. */
  onProgress(path: string): void {
    const watched = this.#watchedOf(path);
    if (!watched.dirty) this.#look(path);
  }

  #watchedOf(path: string): Watched {
    let watched = this.#watched.get(path);
    if (watched === undefined) {
      const notBeforeMs = Number.NEGATIVE_INFINITY;
      watched = { path, dirty: false, running: false, failures: 0, notBeforeMs, timer: undefined };
      this.#watched.set(path, watched);
    }
    return watched;
  }

  #lookAtAll(): void {
    for (const path of this.#ports.storage.view.sinks.keys()) this.#look(path);
  }

  /** Looks at a sink now, or as soon as it may be looked at again. */
  #look(path: string): void {
    const watched = this.#watchedOf(path);
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs < watched.notBeforeMs) return this.#lookAt(watched, watched.notBeforeMs);
    watched.dirty = true;
    if (watched.running || this.#tasks === undefined) return;
    watched.running = true;
    this.#tasks.spawn(path, (signal) => this.#work(watched, signal));
  }

  /** The timer of a sink is the earliest that was asked for since the last look, which asks anew. */
  #lookAt(watched: Watched, dueMs: number): void {
    if (watched.timer !== undefined && watched.timer.dueMs <= dueMs) return;
    watched.timer?.cancel();
    const cancel = this.#ports.clock.after(Math.max(0, dueMs - this.#ports.clock.monotonicMs()), () => {
      watched.timer = undefined;
      this.#look(watched.path);
    });
    watched.timer = { dueMs, cancel };
  }

  async #work(watched: Watched, signal: AbortSignal): Promise<void> {
    try {
      while (watched.dirty && !signal.aborted) {
        watched.dirty = false;
        watched.timer?.cancel();
        watched.timer = undefined;
        watched.notBeforeMs = this.#ports.clock.monotonicMs() + LOOK_SPACING_MS;
        await this.#lookOnce(watched, signal);
      }
    } finally {
      watched.running = false;
      const known = this.#ports.storage.view.sinks.has(watched.path);
      if (!known && watched.timer === undefined) this.#watched.delete(watched.path);
    }
  }

  async #lookOnce(watched: Watched, signal: AbortSignal): Promise<void> {
    const { clock, metrics, logger } = this.#ports;
    try {
      const againMs = await this.#round(watched.path, signal);
      watched.failures = 0;
      if (againMs !== undefined && !watched.dirty) this.#lookAt(watched, clock.monotonicMs() + againMs);
    } catch (thrown) {
      if (signal.aborted) return;
      const error = WireError.from(thrown);
      const waitMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(watched.failures++, 10));
      metrics.failures.add(1, { operation: "rotation", code: error.code });
      logger[isPassing(error) ? "warn" : "error"]("rotation-failed", { sink: watched.path, error, waitMs });
      watched.dirty = false;
      watched.timer?.cancel();
      watched.timer = undefined;
      watched.notBeforeMs = clock.monotonicMs() + waitMs;
      this.#lookAt(watched, watched.notBeforeMs);
    }
  }

  /** Does what is due for a sink, one transaction at a time. @returns ms until time makes something due */
  async #round(path: string, signal: AbortSignal): Promise<number | undefined> {
    for (let conflicts = 0; conflicts < CONFLICTS_MAX;) {
      const sink = this.#ports.storage.view.sinks.get(path);
      if (sink === undefined || !this.#ports.share.owns(path)) return undefined;
      const next = this.#next(sink);
      if (typeof next === "number" || next === undefined) return next;
      if (next.changes.every(({ before, after }) => after === before?.value)) return undefined;
      // Whether it was made or something had changed: the view is newer, decide again.
      const made = await this.#commit(next, signal);
      if (made) next.onMade();
      conflicts = made ? 0 : conflicts + 1;
    }
    throw new WireError("CONFLICT", `${CONFLICTS_MAX} conflicts in a row`);
  }

  #commit({ operation, changes }: Step, signal: AbortSignal): Promise<boolean> {
    const { storage, metrics, clock } = this.#ports;
    const commit = (): Promise<boolean> => storage.commit(changes, signal);
    return operation === undefined ? commit() : metrics.operations.of(operation, clock, commit);
  }

  /** The next transaction of a sink, or ms until there may be one. */
  #next(sink: SinkView): Step | number | undefined {
    const nowMs = this.#ports.clock.wallMs();
    const waits: number[] = [];
    const files = [...sink.files.values()];
    for (const { entity, slices } of files) {
      if (entity?.value.state !== "closing") continue;
      if ([...slices.values()].some(({ value }) => value.state !== "uploaded")) continue;
      const changes = beginImportChanges(entity as Stored<FileIn<"closing">>, slices.values(), nowMs);
      return { changes, onMade: () => {} };
    }
    for (const { entity, slices } of files) {
      if (entity?.value.state !== "writing") continue;
      const file = entity as Stored<FileIn<"writing">>;
      const lane = this.#lane(sink, file.value, slices);
      const plan = planLane(lane, nowMs);
      if (plan.file !== undefined) return this.#rotateFile(sink, file, slices, lane, plan.file);
      if (plan.slices.length > 0) return this.#rotateSlices(file, slices, plan.slices);
      if (plan.againMs !== undefined) waits.push(plan.againMs);
    }
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  #lane(sink: SinkView, file: FileIn<"writing">, slices: Slices): LaneState {
    const definition = this.#ports.catalog.sink(sink.key);
    const closed: Slice[] = [];
    const open: OpenSlice[] = [];
    for (const { value } of slices.values()) {
      if (value.state !== "writing") {
        closed.push(value);
        continue;
      }
      const progress = this.#ports.feed.progress(value);
      const known = progress?.begin === value.begin ? progress : undefined;
      open.push({ slice: value, progress: known, waiting: waitingSlices(sink, value.n) });
    }
    let waitingFiles = 0;
    for (const { entity } of sink.files.values()) {
      const other = entity?.value;
      if (other?.lane === file.lane && (other.state === "closing" || other.state === "importing"))
        waitingFiles++;
    }
    const conditions = definition?.conditions ?? DEFAULT_CONDITIONS;
    const target = definition === undefined ? undefined : targetOf(definition);
    const isAtRest = definition?.disabled !== undefined || definition?.deleted !== undefined;
    const draining = this.#draining || isAtRest;
    return { conditions, target, file, closed, open, waitingFiles, draining };
  }

  #rotateFile(
    sink: SinkView,
    file: Stored<FileIn<"writing">>,
    slices: Slices,
    lane: LaneState,
    reason: FileReason,
  ): Step {
    const { clock, feed, metrics, logger } = this.#ports;
    const next = { fileIds: sink.files.keys(), target: lane.target ?? file.value.target };
    const changes = rotateFileChanges(
      file,
      slices.values(),
      next,
      (slice) => feed.seal(slice),
      clock.wallMs(),
    );
    const onMade = (): void => {
      metrics.filesRotated.add(1, { reason });
      logger.debug("file-rotated", { sink: sinkPath(sink.key), file: file.value.fileId, reason });
    };
    return { operation: "file-rotation", changes, onMade };
  }

  #rotateSlices(file: Stored<FileIn<"writing">>, slices: Slices, due: LanePlan["slices"]): Step {
    const { clock, feed, metrics, logger } = this.#ports;
    const chosen = new Set<Slice>(due.map(({ slice }) => slice));
    const stored = [...slices.values()].filter(({ value }) => chosen.has(value));
    const changes = rotateSlicesChanges(file, stored, (slice) => feed.seal(slice), clock.wallMs());
    const onMade = (): void => {
      for (const { reason } of due) metrics.slicesRotated.add(1, { reason });
      logger.debug("slices-rotated", { sink: sinkPath(file.value), slices: due.length });
    };
    return { operation: "slice-rotation", changes, onMade };
  }
}

function waitingSlices(sink: SinkView, n: number): number {
  const slices = sink.partitions.get(n)?.slices ?? [];
  let waiting = 0;
  for (let at = slices.length - 1; at >= 0; at--) {
    const { state } = slices[at]!.value;
    if (state === "closing" || state === "uploading") waiting++;
    else if (state !== "writing") break;
  }
  return waiting;
}

/** Resolves when one of `signals` aborts. */
function untilAborted(signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const signal of signals) signal.removeEventListener("abort", done);
      resolve();
    };
    for (const signal of signals) {
      if (signal.aborted) return done();
      signal.addEventListener("abort", done, { once: true });
    }
  });
}
