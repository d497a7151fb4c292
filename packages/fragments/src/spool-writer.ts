// Moves acknowledged bytes from memory into the spool files: unsynced, on the log's lane, some milliseconds behind the
// group that made them durable. When the disk is full the bytes stay in memory, and the log keeps them, until it takes
// them again.
import type { Clock, Logger } from "@millrace/base";
import { DiskError, type Disk, type DiskOp } from "@millrace/wal";
import type { DurableSpool, IssuedWrite } from "./durable-spool.ts";

export interface SpoolWriterHooks {
  /** Bytes that were issued are in the files, or will be tried again. */
  onWritten(spools: ReadonlySet<DurableSpool>): void;
  /** The disk refused; `failing` tells when it no longer does. */
  onFull(): void;
  /** Not a matter of space. */
  onBroken(error: unknown): void;
}

/**
 * Many groups share a write: with some journals and groups of a few records the writes were four fifths of what the
 * disk's thread did when they came every 5 ms, and three to four of the log's every 25 ms. Memory has the bytes
 * meanwhile, and the log.
 */
const WRITE_BEHIND_MS = 100;
/** Written at once when so much waits: the log's next group stands behind it on the lane. */
const WRITE_BEHIND_BYTES_MAX = 2 * 1024 * 1024;

export class SpoolWriter {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #retryMs: number;
  readonly #syncBehindBytes: number;
  readonly #hooks: SpoolWriterHooks;
  /** Spools whose writes failed and did not yet succeed. */
  readonly #failed = new Set<DurableSpool>();
  /** Spools with bytes that are acknowledged and not issued, until `#cancelBehind` is due. */
  readonly #behind = new Set<DurableSpool>();
  #cancelBehind: (() => void) | undefined;
  /** Handed to the log since then. */
  #behindBytes = 0;
  #running = 0;
  #cancel: (() => void) | undefined;
  #idle: (() => void)[] = [];

  constructor(
    ports: { disk: Disk; clock: Clock; logger: Logger },
    options: { retryMs: number; syncBehindBytes: number },
    hooks: SpoolWriterHooks,
  ) {
    this.#disk = ports.disk;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    this.#retryMs = options.retryMs;
    this.#syncBehindBytes = options.syncBehindBytes;
    this.#hooks = hooks;
  }

  /** Whether some acknowledged bytes could not be written. */
  get failing(): boolean {
    return this.#failed.size > 0;
  }

  /** Bytes were handed to the log: they are to be written once they are acknowledged. */
  expect(bytes: number): void {
    this.#behindBytes += bytes;
  }

  /** Writes what is acknowledged some milliseconds later: the log has it, and a run costs more than its bytes. */
  writeBehind(spools: Iterable<DurableSpool>): void {
    for (const spool of spools) this.#behind.add(spool);
    if (this.#behindBytes >= WRITE_BEHIND_BYTES_MAX) this.flush();
    else this.#cancelBehind ??= this.#clock.after(WRITE_BEHIND_MS, () => this.flush());
  }

  /** Starts writing now what was to be written soon. */
  flush(): void {
    this.#cancelBehind?.();
    this.#cancelBehind = undefined;
    this.#behindBytes = 0;
    if (this.#behind.size === 0) return;
    const spools = [...this.#behind];
    this.#behind.clear();
    this.write(spools);
  }

  /** Starts writing what is acknowledged and not issued. */
  write(spools: Iterable<DurableSpool>): void {
    const ops: DiskOp[] = [];
    const writes: IssuedWrite[] = [];
    const touched = new Set<DurableSpool>();
    for (const spool of spools) {
      const before = ops.length;
      spool.collectWrites(ops, writes);
      if (ops.length > before) touched.add(spool);
    }
    if (ops.length === 0) return;
    this.#running++;
    this.#disk
      .run("log", ops)
      .then(
        () => {
          this.#onWritten(writes);
          this.#syncBehind(writes);
        },
        (error: unknown) => this.#onFailed(writes, touched, error),
      )
      .then(() => {
        for (const spool of touched) if (spool.isWritten) this.#failed.delete(spool);
        this.#hooks.onWritten(touched);
      })
      .catch((error: unknown) => this.#hooks.onBroken(error))
      .finally(() => this.#onEnded());
  }

  /** Resolves when no write is under way. @returns whether all that is acknowledged is in the files */
  async settled(): Promise<boolean> {
    while (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    return !this.failing;
  }

  close(): void {
    this.#cancelBehind?.();
    this.#cancel?.();
  }

  forget(spool: DurableSpool): void {
    this.#behind.delete(spool);
    this.#failed.delete(spool);
  }

  #onWritten(writes: readonly IssuedWrite[]): void {
    for (const { block, begin, end } of writes) {
      if (block.written === begin) block.written = end;
      // Else an earlier write of the block failed: all from there on is written again.
      block.issued = block.written === end ? Math.max(block.issued, end) : block.written;
    }
  }

  /** The checkpoint syncs the files all the same, and says so (D6): what is synced already costs it nothing. */
  #syncBehind(writes: readonly IssuedWrite[]): void {
    for (const { fragment, path, begin, end } of writes) {
      fragment.unsyncedBytes += end - begin;
      if (fragment.unsyncedBytes < this.#syncBehindBytes) continue;
      fragment.unsyncedBytes = 0;
      this.#disk.run("bulk", [{ kind: "sync", path }]).catch((error: unknown) => {
        // A file that was released, or that cannot be opened now: the checkpoint will see.
        const wasTried = !(error instanceof DiskError) || error.kind === "sync-failed";
        if (wasTried) this.#hooks.onBroken(error); // D5
      });
    }
  }

  #onFailed(writes: readonly IssuedWrite[], spools: ReadonlySet<DurableSpool>, error: unknown): void {
    for (const { block } of writes) block.issued = block.written;
    if (!(error instanceof DiskError) || error.kind !== "full") throw error;
    this.#logger.warn("spool-write-refused", { path: error.path, error: error.message });
    for (const spool of spools) {
      spool.rewrite = true;
      this.#failed.add(spool);
    }
    this.#hooks.onFull();
    this.#cancel ??= this.#clock.after(this.#retryMs, () => {
      this.#cancel = undefined;
      for (const spool of this.#failed) if (spool.isWritten) this.#failed.delete(spool);
      this.write(this.#failed);
    });
  }

  #onEnded(): void {
    this.#running--;
    if (this.#running > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
