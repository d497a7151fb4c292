// Local storage of all journals of a broker: one log, one spool each, one checkpoint (durability.md D1-D6, D9, D17).
//
//   disk     log/        the write-ahead log and the checkpoint
//            spools/     one directory for each life of a journal, one raw file for each fragment
//            quarantine/ what nobody may serve; it stays until a store is seen to have it
import {
  assert,
  Gate,
  never,
  WireError,
  type Clock,
  type Logger,
  type Metrics,
  type Random,
} from "@millrace/base";
import { EMPTY_LABELS } from "@millrace/protocol";
import { DiskError, WriteAheadLog, type Disk, type DiskOp, type DiskSpace } from "@millrace/wal";
import { DurableSpool } from "./durable-spool.ts";
import { applyRecovery, readRecovery, sumRecovered, type Recovered } from "./recovery.ts";
import { releaseAside, type AsideFragment, type Released } from "./quarantine-release.ts";
import { copyFrom, moveAside } from "./recovery-quarantine.ts";
import { SpoolCheckpoint } from "./spool-checkpoint.ts";
import { SpoolChores } from "./spool-chores.ts";
import type { DirectBytes, SpoolEntry } from "./spool-entry.ts";
import type { SpoolFragment } from "./spool-fragment.ts";
import type { FileTail, SpoolHost } from "./spool-host.ts";
import type { JournalImage, StoreMark } from "./spool-image.ts";
import { SPOOL_DEFAULTS, type SpoolOptions } from "./spool-limits.ts";
import { logged, SpoolLog } from "./spool-log.ts";
import { spoolMetrics, type SpoolMetrics } from "./spool-metrics.ts";
import { spoolDir } from "./spool-paths.ts";
import { rollTo } from "./spool-roll.ts";
import { SpoolReads } from "./spool-reads.ts";
import { SpoolSpace } from "./spool-space.ts";
import { TailMemory } from "./spool-tail.ts";
import { SpoolWriter } from "./spool-writer.ts";
import type { FoundLife, JournalLife, Spool, Spools } from "./spools.ts";

export interface SpoolPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The log failed (D5): nothing is acknowledged any more. Report it and end the process. */
  onFatal(error: WireError): void;
}

/**
 * Opens local storage and recovers what is there.
 * @param options over SPOOL_DEFAULTS
 * @throws {WireError} CORRUPT naming file and offset, with nothing changed; DISK_FULL when there is no room to begin
 */
export async function openSpools(
  ports: SpoolPorts,
  options: Partial<SpoolOptions>,
  signal: AbortSignal,
): Promise<Spools> {
  const all = { ...SPOOL_DEFAULTS, ...options };
  try {
    const recovered = await readRecovery(ports.disk, all, signal);
    const spools = new DurableSpools(ports, all, recovered, await ports.disk.space());
    await spools.start(recovered, signal);
    return spools;
  } catch (error) {
    if (!(error instanceof DiskError) || error.kind !== "full") throw error;
    throw new WireError("DISK_FULL", `no space to begin: ${error.message}`, { cause: error });
  }
}

class DurableSpools implements Spools, SpoolHost {
  readonly disk: Disk;
  readonly memory: TailMemory;
  readonly metrics: SpoolMetrics;
  readonly #ports: SpoolPorts;
  readonly #options: SpoolOptions;
  readonly #logger: Logger;
  /** By directory: one for each life. */
  readonly #spools = new Map<string, DurableSpool>();
  readonly #space: SpoolSpace;
  readonly #writer: SpoolWriter;
  readonly #reads: SpoolReads;
  readonly #gate = new Gate();
  /** Directories of lives that are over and whose files are still there. */
  readonly #leaving = new Set<string>();
  #mark: StoreMark | undefined;
  #log!: WriteAheadLog;
  #records!: SpoolLog;
  #chores!: SpoolChores;
  #checkpoint!: SpoolCheckpoint;
  #checkpointing: Promise<void> | undefined;
  /** After a checkpoint that could not be made the next one waits until then. */
  #checkpointAfterMs = 0;
  readonly newestMs: number | undefined;
  readonly #touched = new Set<DurableSpool>();
  readonly #unsummable = new WeakSet<DurableSpool>();
  #nextId = 1;
  /** `recovering`: no checkpoint yet, the files lack what the log has. */
  #state: "recovering" | "open" | "closing" | "closed" = "recovering";
  #failure: WireError | undefined;

  constructor(ports: SpoolPorts, options: SpoolOptions, recovered: Recovered, space: DiskSpace) {
    this.#ports = ports;
    this.#options = options;
    this.#logger = ports.logger;
    this.disk = ports.disk;
    this.memory = new TailMemory(options);
    this.metrics = spoolMetrics(ports.metrics);
    this.#space = new SpoolSpace(ports, options, this.metrics, space, () => this.#wakeAll());
    this.#reads = new SpoolReads(ports, this.metrics.rotten);
    this.#writer = new SpoolWriter(ports, options, {
      onWritten: (spools) => this.#onWritten(spools),
      onFull: () => this.#space.look(),
      onBroken: (error) => this.#fail(WireError.from(error)),
    });
    this.#mark = recovered.replay.mark;
    this.newestMs = recovered.replay.newestMs;
    for (const journal of recovered.journals) this.#adopt(journal.image).markRecovered(journal);
  }

  async start(recovered: Recovered, signal: AbortSignal): Promise<void> {
    const hooks = {
      onFatal: (error: WireError) => this.#fail(error),
      onSpace: (full: boolean) => this.#onLogSpace(full),
    };
    this.#log = await WriteAheadLog.open(this.#ports, this.#options.log, hooks, recovered.scan);
    this.#records = new SpoolLog(this.#log, this.#ports.clock);
    this.#checkpoint = new SpoolCheckpoint(this.#ports, this.#options, {
      writer: this.#writer,
      log: this.#log,
      spools: () => this.#spools.values(),
      generation: recovered.generation,
      mark: () => this.#mark,
      isBroken: () => this.#failure !== undefined,
    });
    this.#chores = new SpoolChores(this.#ports, this.#options, this.#records, {
      onFreed: () => this.#space.look(),
      onDirChanged: (dir) => this.#checkpoint.dirtyDirs.add(dir),
    });
    try {
      await applyRecovery(this.#ports, recovered, signal);
      const aside = recovered.actions.filter(({ kind }) => kind === "cut" || kind === "move");
      this.metrics.quarantined.add(aside.length);
    } catch (error) {
      this.#space.close();
      await this.#log.close();
      throw error;
    }
    this.#state = "open";
  }

  get directBytesMin(): number {
    return this.#options.directBytesMin;
  }

  get syncBehindBytes(): number {
    return this.#options.syncBehindBytes;
  }

  get queuedBytes(): number {
    return this.#log.queuedBytes;
  }

  async claim(life: JournalLife, atLeast: number): Promise<Spool> {
    if (this.#state !== "open") throw this.refusal()!;
    const dir = spoolDir(life.journal, life.createRevision);
    for (const other of this.#spools.values()) {
      if (other.dir === dir || other.life.journal !== life.journal || this.#leaving.has(other.dir)) continue;
      assert(!other.hasPending, "another life of the journal is at rest", { journal: life.journal });
      this.#setAside(other);
    }
    if (this.#leaving.has(dir)) {
      throw new WireError("UNAVAILABLE", `${dir} still has bytes of a journal that is over`);
    }
    const spool = this.#spools.get(dir) ?? this.#adopt(newJournal(life));
    spool.claimed = true;
    spool.adoptLife(life);
    await this.disk.run("bulk", [{ kind: "make-dir", path: dir }]).catch(this.#throwFailure);
    await sumRecovered(this.disk, spool);
    if (spool.pendingEnd < atLeast) await rollTo(spool, atLeast);
    return spool;
  }

  unclaimed(): readonly FoundLife[] {
    return [...this.#spools.values()]
      .filter(({ claimed, dir }) => !claimed && !this.#leaving.has(dir))
      .map((spool) => ({
        ...spool.life,
        base: spool.held()[0]?.begin ?? spool.syncedEnd,
        end: spool.syncedEnd,
      }));
  }

  discard({ journal, createRevision }: JournalLife, how: { readonly quarantine: boolean }): void {
    const spool = this.#spools.get(spoolDir(journal, createRevision));
    assert(spool?.claimed === false, "what is discarded was not claimed", { journal });
    if (how.quarantine) this.#setAside(spool);
    else spool.remove();
  }

  releaseAside(
    { journal, createRevision }: Pick<JournalLife, "journal" | "createRevision">,
    isStored: (fragment: AsideFragment) => Promise<boolean>,
  ): Promise<Released> {
    return releaseAside(this.disk, spoolDir(journal, createRevision), isStored).catch(this.#throwFailure);
  }

  get mark(): StoreMark | undefined {
    return this.#mark;
  }

  setMark(mark: StoreMark): Promise<void> {
    const onLogged = (): void => {
      this.#mark = mark;
    };
    return logged((listener) => this.#records.mark(mark, listener), onLogged);
  }

  async room(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const refusal = this.refusal();
      if (refusal !== undefined) throw refusal;
      if (this.queuedBytes <= this.#options.queueBytesMax) return;
      await this.#gate.next(signal);
    }
  }

  unhealthy(): string | undefined {
    this.#space.refresh();
    return this.#log.unhealthy() ?? this.refusal()?.message;
  }

  async close(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "closing";
    const busy = (): boolean =>
      [...this.#spools.values()].some((spool) => spool.hasPending || spool.strays > 0);
    while (this.#failure === undefined && busy()) await this.#gate.next(never);
    await this.#checkpointing;
    await this.#chores.close();
    await this.#reads.close();
    if (this.#failure === undefined) {
      this.#startCheckpoint();
      await this.#checkpointing;
    }
    await this.#log.close();
    this.#writer.close();
    this.#space.close();
    this.#state = "closed";
  }

  // SpoolHost

  nowMs(): number {
    return this.#ports.clock.wallMs();
  }

  refusal(): WireError | undefined {
    if (this.#failure !== undefined) return new WireError("UNAVAILABLE", this.#failure.message);
    if (this.#state !== "open") return new WireError("SHUTTING_DOWN", "local storage is closing");
    if (this.#writer.failing)
      return new WireError("DISK_FULL", "no space for acknowledged bytes in the spools");
    return this.#space.refusal();
  }

  spend(bytes: number): void {
    this.#space.spend(bytes);
  }

  log(spool: DurableSpool, entry: SpoolEntry): WireError | undefined {
    if (this.#failure !== undefined) return this.refusal();
    if (entry.direct === undefined) this.spend(entry.end - entry.begin);
    if (entry.direct === undefined) this.#writer.expect(entry.end - entry.begin);
    return this.#records.entry(spool, entry);
  }

  logSum(spool: DurableSpool, fragment: SpoolFragment): void {
    this.#records.sum(spool, fragment);
  }

  logAdopted(spool: DurableSpool, fragment: SpoolFragment): Promise<void> {
    const onLogged = (): void => {
      if (!spool.isRemoved) spool.fragmentsHere.adopt(fragment);
      this.touched(spool);
    };
    return logged((listener) => this.#records.adopted(spool, fragment, listener), onLogged);
  }

  release(spool: DurableSpool, fragment: SpoolFragment): void {
    this.#chores.release(spool, fragment);
    this.touched(spool);
  }

  remove(spool: DurableSpool): void {
    this.#leaving.add(spool.dir);
    this.#spools.delete(spool.dir);
    this.#writer.forget(spool);
    this.#chores.remove(spool, { quarantine: false }, () => this.#leaving.delete(spool.dir));
  }

  syncDirect(
    spool: DurableSpool,
    fragment: SpoolFragment,
    direct: DirectBytes,
    done: (failure: WireError | undefined) => void,
  ): void {
    const sync = async (): Promise<void> => {
      await direct.finish(never);
      const ops: DiskOp[] = [{ kind: "sync", path: spool.pathOf(fragment) }];
      if (fragment.fresh) ops.push({ kind: "sync-dir", path: spool.dir });
      await this.disk.run("bulk", ops);
      fragment.fresh = false;
    };
    sync()
      .then(
        () => done(undefined),
        (error: unknown) => done(this.diskFailure(error)),
      )
      .catch((error: unknown) => this.#fail(WireError.from(error)));
  }

  async readFile(
    spool: DurableSpool,
    fragment: SpoolFragment,
    range: { readonly begin: number; readonly end: number },
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    try {
      return await this.#reads.read(spool, fragment, range, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw this.diskFailure(error);
    }
  }

  async copyAside({ path, from }: FileTail): Promise<void> {
    await copyFrom(this.disk, path, from).catch(this.#throwFailure);
  }

  async tidyCut(
    spool: DurableSpool,
    shortened: FileTail | undefined,
    moved: readonly string[],
  ): Promise<void> {
    try {
      if (shortened !== undefined) {
        const { path, from: bytes } = shortened;
        await this.disk.run("bulk", [{ kind: "truncate", path, bytes }]);
      }
      for (const path of moved) await moveAside(this.disk, path);
      await sumRecovered(this.disk, spool);
    } catch (error) {
      this.#logger.warn("spool-cut-untidy", {
        journal: spool.life.journal,
        error: this.diskFailure(error).message,
      });
    }
  }

  readonly #throwFailure = (error: unknown): never => {
    throw this.diskFailure(error);
  };

  diskFailure(error: unknown): WireError {
    if (!(error instanceof DiskError)) return WireError.from(error);
    if (error.kind === "full") {
      this.#space.look();
      return new WireError("DISK_FULL", error.message, { cause: error });
    }
    if (error.kind === "sync-failed") this.#fail(WireError.from(error)); // D5
    const code = error.kind === "missing" ? "NOT_FOUND" : "UNAVAILABLE";
    return new WireError(code, error.message, { cause: error });
  }

  touched(spool: DurableSpool): void {
    // The log tells the listeners of a group in one go: this runs once for all of them.
    if (this.#touched.size === 0) queueMicrotask(() => this.#flush());
    this.#touched.add(spool);
  }

  /** Until its files are synced checkpoints have it as it was. */
  #setAside(spool: DurableSpool): void {
    this.#leaving.add(spool.dir);
    this.#chores.setAside(spool, {
      onSynced: () => {
        spool.forget();
        this.#spools.delete(spool.dir);
        this.#writer.forget(spool);
      },
      onGone: () => this.#leaving.delete(spool.dir),
      onFailed: (error) => void this.diskFailure(error), // D5
    });
  }

  #flush(): void {
    const touched = [...this.#touched];
    this.#touched.clear();
    this.#writer.writeBehind(touched);
    // What is not written pins memory, and keeps a direct append waiting.
    if (this.memory.isShort || touched.some(({ awaited }) => awaited > 0)) this.#writer.flush();
    for (const spool of touched) spool.notify();
    this.#gate.open();
    this.memory.evict();
    this.metrics.tailBytes.set(this.memory.bytes);
    if (this.#log.retainedBytes > this.#options.checkpointLogBytes) this.#startCheckpoint();
  }

  #adopt(image: JournalImage): DurableSpool {
    const spool = new DurableSpool(this, this.#nextId++, image);
    this.#spools.set(spool.dir, spool);
    return spool;
  }

  #onWritten(spools: ReadonlySet<DurableSpool>): void {
    for (const spool of spools) spool.wake();
    this.memory.evict();
    this.#gate.open();
  }

  #onLogSpace(full: boolean): void {
    this.#wakeAll();
    if (full) this.#startCheckpoint(); // frees segments, and with them the log
  }

  #startCheckpoint(): void {
    const { clock } = this.#ports;
    if (this.#checkpointing !== undefined || this.#failure !== undefined) return;
    if (this.#state === "recovering") return;
    if (this.#state === "open" && clock.monotonicMs() < this.#checkpointAfterMs) return;
    const startedMs = clock.monotonicMs();
    const unsummed = this.#unsummed();
    const summing = unsummed.length === 0 ? undefined : this.#sumAll(unsummed);
    const running =
      summing === undefined ? this.#checkpoint.run() : summing.then(() => this.#checkpoint.run());
    this.#checkpointing = running
      .then(
        (made) => (made ? "made" : "postponed"),
        (error: unknown) => {
          this.#logger.warn("spool-checkpoint-failed", { error: this.diskFailure(error).message });
          return "failed";
        },
      )
      .then((outcome) => {
        this.#checkpointing = undefined;
        this.metrics.checkpoints.add(1, { outcome });
        if (outcome !== "made") this.#checkpointAfterMs = clock.monotonicMs() + this.#options.retryMs;
        else this.metrics.checkpointSeconds.observe((clock.monotonicMs() - startedMs) / 1000);
      });
  }

  #unsummed(): DurableSpool[] {
    return [...this.#spools.values()].filter(
      (spool) => !this.#unsummable.has(spool) && spool.unsummed().length > 0,
    );
  }

  /** What recovery wrote from the log and nobody claims: once the log lets go of it, nothing else tells rot in it. */
  async #sumAll(spools: readonly DurableSpool[]): Promise<void> {
    for (const spool of spools) {
      try {
        await sumRecovered(this.disk, spool);
      } catch (error) {
        this.#unsummable.add(spool); // whoever claims it is told
        this.#logger.warn("spool-not-summed", {
          journal: spool.life.journal,
          error: this.diskFailure(error).message,
        });
      }
    }
  }

  #wakeAll(): void {
    for (const spool of this.#spools.values()) spool.wake();
    this.#gate.open();
  }

  #fail(error: WireError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#logger.error("spools-failed", { error: error.message });
    this.#wakeAll();
    this.#ports.onFatal(error);
  }
}

function newJournal(life: JournalLife): JournalImage {
  return {
    ...life,
    begin: 0,
    end: 0,
    sum: "",
    sumEnd: 0,
    firstAppendMs: 0,
    marks: [{ from: 0, registers: EMPTY_LABELS, isKnown: true }],
    fragments: [],
  };
}
