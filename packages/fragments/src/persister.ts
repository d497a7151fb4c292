// Brings closed fragments from this disk into their stores, and lets go of them here once they are there (D18).
// Journals without stores keep theirs until retention or trimming says otherwise (D19).
// P1 A local fragment is released only after its attempt was `confirmed` (persister-attempt.ts), or expired (D19).
// P2 Before it is released the index knows the remote one: readers find no hole.
// P3 Failures put a fragment off, and it is dropped only when its journal was removed.
import { Gate, InvariantError, waitUntil, WireError } from "@millrace/base";
import type { Metrics, Random, TaskGroup } from "@millrace/base";
import type { CompressionCodec, Fragment } from "@millrace/protocol";
import { remoteEntry, type FragmentIndex } from "./fragment-index.ts";
import type { AttemptFailure, AttemptState } from "./persister-attempt.ts";
import { persisterMetrics, type PersisterMetrics } from "./persister-metrics.ts";
import { backoffMs, PersistQueue, type QueuedTask } from "./persister-queue.ts";
import { CautiousClock, expiredFragments, type RetentionPolicy } from "./persister-retention.ts";
import { runAttempt, type UploadPorts } from "./persister-upload.ts";
import { modTimeSeconds } from "./remote-fragments.ts";
import type { LocalFragment, Spool } from "./spools.ts";

export interface PersisterPorts extends UploadPorts {
  readonly random: Random;
  readonly metrics: Metrics;
  /** Told of each attempt that failed at its store. */
  readonly onStoreFailure?: (url: string) => void;
  /** Newest wall time that an earlier process has left. Default: there was none. */
  readonly leftMs?: number | undefined;
}

export interface PersisterLimits {
  /** Uploads at once. Each holds a few hundred KiB. */
  readonly uploadsMax: number;
  /** Bytes of content, before compression, of the uploads at once; a larger fragment goes alone. */
  readonly uploadBytesMax: number;
  /** While no more than this waits, uploads leave the cores to those who append; beyond it they hurry. */
  readonly calmBytesMax: number;
  /** An upload that makes no progress for this long has failed. */
  readonly stallMs: number;
}

export const PERSISTER_LIMITS: PersisterLimits = {
  uploadsMax: 4,
  uploadBytesMax: 4 * 1024 * 1024 * 1024,
  calmBytesMax: 256 * 1024 * 1024,
  stallMs: 5 * 60 * 1000,
};

/** A journal's settings at this moment. */
export interface PersistSettings {
  /** URLs. New fragments go to the first. */
  readonly stores: readonly string[];
  readonly codec: CompressionCodec;
  /**
   * Directories between journal and file name, evaluated anew at each attempt. May throw: the attempt fails, which
   * whoever evaluates has logged.
   */
  readonly pathPostfix: (fragment: LocalFragment) => string;
  /** For as long as there are no stores (D19). */
  readonly retention: RetentionPolicy;
  /** The primary persists at once; others later, when they normally find the object. */
  readonly isPrimary: boolean;
}

export interface PersistedJournal {
  readonly name: string;
  readonly spool: Pick<Spool, "fragments" | "read" | "release" | "onChange">;
  readonly index: FragmentIndex;
  /** Undefined once this life of the journal is over: it was removed, even if it was created again since. */
  readonly settings: () => PersistSettings | undefined;
}

export interface PersistHandle {
  /** Closed fragments that wait for their store. */
  readonly pendingCount: number;
  /** Resolves when nothing is pending. */
  settled(signal: AbortSignal): Promise<void>;
  /** No more fragments are taken up. What is pending goes on: its spool must stay readable until then. */
  close(): void;
}

export interface Backlog {
  readonly count: number;
  readonly bytes: number;
  /** Age of the fragment that waits longest; 0 when none does. */
  readonly ageMs: number;
}

const SWEEP_MS = 10_000;
const REPORT_MS = 1000;
/** Of so many attempts in a row, one writes an object that is there again without reading it (A3 of the attempt). */
const BLIND_WRITE_EVERY = 4;
const REPLICA_DELAY_MS = { min: 120_000, max: 180_000 } as const;
/** Longest wait between attempts while draining. */
const DRAIN_BACKOFF_MS_MAX = 1000;

interface Journal extends PersistedJournal {
  readonly id: number;
  /** Keys of what waits or runs, with the fragment. */
  readonly pending: Map<string, LocalFragment>;
  /** When a fragment was first seen closed, by its begin: for retention. */
  readonly closedMs: Map<number, number>;
  readonly changed: Gate;
  /** Closed fragments up to here were seen. */
  seenTo: number;
}

export class Persister {
  readonly #ports: PersisterPorts;
  readonly #limits: PersisterLimits;
  readonly #tasks: TaskGroup;
  readonly #queue: PersistQueue;
  readonly #metrics: PersisterMetrics;
  readonly #journals = new Set<Journal>();
  readonly #owners = new Map<string, Journal>();
  readonly #wake = new Gate();
  readonly #cautious: CautiousClock;
  #nextId = 0;
  #sweptMs: number;
  #reportedMs = Number.NEGATIVE_INFINITY;
  #isDraining = false;

  /** @param tasks owns the uploads; its close() ends them at once: drain() first */
  constructor(ports: PersisterPorts, limits: PersisterLimits, tasks: TaskGroup) {
    this.#ports = ports;
    this.#limits = limits;
    this.#tasks = tasks;
    this.#queue = new PersistQueue({ tasksMax: limits.uploadsMax, bytesMax: limits.uploadBytesMax });
    this.#metrics = persisterMetrics(ports.metrics);
    this.#sweptMs = ports.clock.monotonicMs();
    this.#cautious = new CautiousClock(ports.clock, ports.leftMs);
    tasks.spawn("persister", (signal) => this.#run(signal));
  }

  /** Takes up the closed fragments of a journal, now and as they come. */
  open(persisted: PersistedJournal): PersistHandle {
    const { name, spool, index, settings } = persisted;
    const fields = { pending: new Map(), closedMs: new Map(), changed: new Gate(), seenTo: 0 };
    const journal: Journal = { name, spool, index, settings, id: this.#nextId++, ...fields };
    this.#journals.add(journal);
    const unsubscribe = spool.onChange(() => this.#offerNew(journal));
    this.#sweep(journal);
    return {
      get pendingCount() {
        return journal.pending.size;
      },
      settled: (signal) => waitUntil(journal.changed, () => journal.pending.size === 0, signal),
      close: () => {
        unsubscribe();
        this.#journals.delete(journal);
      },
    };
  }

  backlog(): Backlog {
    const since = this.#queue.oldestSinceMs;
    const ageMs = since === undefined ? 0 : this.#ports.clock.monotonicMs() - since;
    return { count: this.#queue.count, bytes: this.#queue.bytes, ageMs };
  }

  /**
   * Persists all that is closed, without waiting for its time, until nothing is left or `signal` aborts. What is left
   * stays on this disk. A store that refuses for lack of rights is passed over for the journal's next one.
   * @returns how many fragments are left
   */
  async drain(signal: AbortSignal): Promise<{ left: number }> {
    this.#isDraining = true;
    for (const journal of this.#journals) this.#sweep(journal);
    this.#queue.hurry(this.#ports.clock.monotonicMs());
    this.#wake.open();
    while (this.#queue.count > 0 && !signal.aborted) {
      // The gate wakes this loop too: it opens after each attempt.
      await this.#wake.next(signal).catch((reason: unknown) => {
        if (!signal.aborted) throw reason;
      });
    }
    return { left: this.#queue.count };
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    for (;;) {
      for (;;) {
        const task = this.#queue.take(clock.monotonicMs());
        if (task === undefined) break;
        this.#tasks.spawn(`persist ${task.key}`, () => this.#persist(task, signal));
      }
      this.#report();
      const cancel = clock.after(this.#waitMs(), () => this.#wake.open());
      try {
        await this.#wake.next(signal);
      } finally {
        cancel();
      }
      if (clock.monotonicMs() - this.#sweptMs < SWEEP_MS) continue;
      this.#sweptMs = clock.monotonicMs();
      this.#cautious.nowMs(); // also when no journal asks: it judges by how long ago it was asked
      for (const journal of this.#journals) this.#sweep(journal);
    }
  }

  #waitMs(): number {
    const dueMs = this.#queue.nextDueMs;
    if (dueMs === undefined) return SWEEP_MS;
    const waitMs = dueMs - this.#ports.clock.monotonicMs();
    // What is due and was not taken waits for room: the end of an upload wakes.
    return waitMs <= 0 ? SWEEP_MS : Math.min(waitMs, SWEEP_MS);
  }

  /** Offers what closed since the last call: called after every batch of appends, so it looks at the end only. */
  #offerNew(journal: Journal): void {
    const fragments = journal.spool.fragments();
    let from = fragments.length;
    while (from > 0 && fragments[from - 1]!.end > journal.seenTo) from--;
    const closed = fragments.slice(from).filter((fragment) => fragment.closed);
    const last = closed.at(-1);
    if (last === undefined) return;
    journal.seenTo = last.end;
    this.#offer(journal, closed);
  }

  /** Offers all that is closed, forgets what was released by others, and applies retention where there is no store. */
  #sweep(journal: Journal): void {
    const fragments = journal.spool.fragments();
    this.#offer(journal, fragments);
    const settings = journal.settings();
    if (settings === undefined || settings.stores.length > 0) return;
    const nowMs = this.#cautious.nowMs();
    const closedMs = new Map<number, number>();
    for (const { begin, closed } of fragments) {
      if (closed) closedMs.set(begin, journal.closedMs.get(begin) ?? nowMs);
    }
    journal.closedMs.clear();
    for (const [begin, ms] of closedMs) journal.closedMs.set(begin, ms);
    const since = (fragment: LocalFragment): number => closedMs.get(fragment.begin) ?? nowMs;
    for (const { begin, end } of expiredFragments(fragments, settings.retention, since, nowMs)) {
      this.#ports.logger.info("fragment-expired", { journal: journal.name, begin, end });
      this.#letGo(journal, { begin, end });
    }
  }

  #offer(journal: Journal, fragments: readonly LocalFragment[]): void {
    const settings = journal.settings();
    if (settings === undefined || settings.stores.length === 0) return;
    const nowMs = this.#ports.clock.monotonicMs();
    let offered = false;
    for (const fragment of fragments) {
      const { begin, end, closed } = fragment;
      if (!closed || end === begin) continue;
      const key = `${journal.id}/${begin}-${end}`;
      if (journal.pending.has(key)) continue;
      journal.pending.set(key, fragment);
      this.#owners.set(key, journal);
      const delayMs = settings.isPrimary || this.#isDraining ? 0 : this.#replicaDelayMs();
      this.#queue.offer({ key, bytes: end - begin, sinceMs: nowMs, dueMs: nowMs + delayMs, failures: 0 });
      offered = true;
    }
    if (offered) this.#wake.open();
  }

  #replicaDelayMs(): number {
    const { min, max } = REPLICA_DELAY_MS;
    return min + this.#ports.random.below(max - min);
  }

  async #persist(task: QueuedTask, signal: AbortSignal): Promise<void> {
    const journal = this.#owners.get(task.key)!;
    const local = journal.pending.get(task.key)!;
    const settings = journal.settings();
    if (settings === undefined) return this.#drop(task, journal, local, "JournalSpec was removed");
    if (!isHeld(journal, local)) return this.#drop(task, journal, local, "already released");
    if (settings.stores.length === 0) return this.#drop(task, journal, local, "no stores");
    for (const [i, store] of settings.stores.entries()) {
      const { state, fragment } = await this.#attempt(task, journal, { local, settings, store }, signal);
      if (state.kind === "confirmed") return this.#release(task, journal, fragment!, state);
      const reason: AttemptFailure =
        state.kind === "failed" ? state.reason : { kind: "error", error: undefined };
      this.#logFailure(journal, local, { store, failures: task.failures + 1, reason });
      const isRefused = reason.kind === "error" && codeOf(reason.error) === "FORBIDDEN";
      if (!this.#isDraining || !isRefused || i === settings.stores.length - 1) break;
    }
    const waitMs = backoffMs(task.failures + 1, this.#ports.random.u32());
    const boundedMs = this.#isDraining ? Math.min(waitMs, DRAIN_BACKOFF_MS_MAX) : waitMs;
    this.#queue.fail(task.key, this.#ports.clock.monotonicMs() + boundedMs);
    this.#wake.open();
  }

  async #attempt(
    task: QueuedTask,
    journal: Journal,
    { local, settings, store }: { local: LocalFragment; settings: PersistSettings; store: string },
    signal: AbortSignal,
  ): Promise<{ state: AttemptState; fragment?: Fragment }> {
    let fragment: Fragment;
    try {
      const { begin, end } = local;
      const pathPostfix = settings.pathPostfix(local);
      const name = { journal: journal.name, begin, end, sum: local.sum(), pathPostfix };
      fragment = { ...name, compressionCodec: settings.codec, backingStore: store, modTime: 0 };
    } catch (error) {
      return { state: { kind: "failed", reason: { kind: "no-path", error } } };
    }
    const readBack = task.failures % BLIND_WRITE_EVERY !== BLIND_WRITE_EVERY - 1;
    const { stallMs, calmBytesMax } = this.#limits;
    const isHurried = (): boolean => this.#queue.bytes > calmBytesMax;
    const upload = { fragment, source: journal.spool, readBack, isHurried, stallMs };
    return { state: await runAttempt(this.#ports, upload, signal), fragment };
  }

  #release(
    task: QueuedTask,
    journal: Journal,
    fragment: Fragment,
    state: { readonly modTimeMs: number; readonly bytesWritten: number },
  ): void {
    const { begin, end } = fragment;
    if (!isHeld(journal, fragment))
      return this.#drop(task, journal, fragment, "released while it was persisted");
    const entry = remoteEntry({ ...fragment, modTime: modTimeSeconds(state.modTimeMs) });
    journal.index.confirm(entry, this.#ports.clock.monotonicMs()); // P2
    this.#done(task, journal);
    this.#letGo(journal, { begin, end });
    this.#metrics.attempts.add(1, { outcome: state.bytesWritten > 0 ? "written" : "found" });
    this.#metrics.persisted.add();
    this.#metrics.contentBytes.add(end - begin);
    this.#metrics.storedBytes.add(state.bytesWritten);
    this.#ports.logger.debug("fragment-persisted", { journal: journal.name, begin, end, ...state });
  }

  /** The index learns of it at once: spools report changes in batches, and a reader must not be sent here meanwhile. */
  #letGo(journal: Journal, range: { begin: number; end: number }): void {
    journal.spool.release(range);
    journal.index.setLocal(journal.spool.fragments());
  }

  #drop(
    task: QueuedTask,
    journal: Journal,
    { begin, end }: { begin: number; end: number },
    why: string,
  ): void {
    this.#ports.logger.info("fragment-dropped", { journal: journal.name, begin, end, why });
    this.#done(task, journal);
  }

  #done(task: QueuedTask, journal: Journal): void {
    this.#queue.finish(task.key);
    this.#owners.delete(task.key);
    journal.pending.delete(task.key);
    journal.changed.open();
    this.#wake.open();
  }

  #logFailure(
    journal: Journal,
    { begin, end }: LocalFragment,
    { store, failures, reason }: { store: string; failures: number; reason: AttemptFailure },
  ): void {
    const fields = { journal: journal.name, begin, end, store, failures };
    if (reason.kind === "not-confirmed") {
      this.#metrics.attempts.add(1, { outcome: "not-confirmed" });
      const { written, found } = reason;
      this.#ports.onStoreFailure?.(store);
      this.#ports.logger.error("fragment-not-confirmed", { ...fields, written, found });
      return;
    }
    const error = WireError.from(reason.error);
    const more = { ...fields, code: error.code, reason: error.message };
    if (reason.kind === "no-path") {
      this.#metrics.attempts.add(1, { outcome: "no-path" });
      return this.#ports.logger.debug("fragment-persist-failed", more); // Its journal has said so.
    }
    this.#metrics.attempts.add(1, { outcome: error.code });
    if (error.code === "CORRUPT") this.#ports.logger.error("local-fragment-corrupt", more);
    else {
      this.#ports.onStoreFailure?.(store);
      this.#ports.logger.warn("fragment-persist-failed", more);
    }
  }

  #report(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs - this.#reportedMs < REPORT_MS && this.#queue.count > 0) return;
    this.#reportedMs = nowMs;
    const { count, bytes, ageMs } = this.backlog();
    this.#metrics.backlogCount.set(count);
    this.#metrics.backlogBytes.set(bytes);
    this.#metrics.backlogAge.set(ageMs / 1000);
  }
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof InvariantError) throw error;
  return error instanceof WireError ? error.code : undefined;
}

function isHeld(journal: Journal, range: { begin: number; end: number }): boolean {
  return journal.spool.fragments().some(({ begin, end }) => begin === range.begin && end === range.end);
}
