// What a spool needs of the store of all spools: the log, the disk, memory, and whether there is room.
import type { WireError } from "@millrace/base";
import type { Disk } from "@millrace/wal";
import type { DurableSpool } from "./durable-spool.ts";
import type { DirectBytes, SpoolEntry } from "./spool-entry.ts";
import type { SpoolFragment } from "./spool-fragment.ts";
import type { SpoolMetrics } from "./spool-metrics.ts";
import type { TailMemory } from "./spool-tail.ts";

/** A spool file from a place on. */
export interface FileTail {
  readonly path: string;
  readonly from: number;
}

export interface SpoolHost {
  readonly disk: Disk;
  readonly memory: TailMemory;
  readonly directBytesMin: number;
  readonly syncBehindBytes: number;
  readonly metrics: Pick<SpoolMetrics, "failed" | "completed">;
  nowMs(): number;
  /** Why nothing may be appended now; undefined when it may. */
  refusal(): WireError | undefined;
  /** Counts bytes that will be written to the disk. */
  spend(bytes: number): void;
  /** Hands an entry's records to the log, which tells the entry. @returns why not, when nothing was handed over */
  log(spool: DurableSpool, entry: SpoolEntry): WireError | undefined;
  /** Remembers the sum of a closed fragment, so that a restart need not read it. May be lost. */
  logSum(spool: DurableSpool, fragment: SpoolFragment): void;
  /** Logs a fragment whose file is synced, then adds it. @throws {WireError} as a commit fails */
  logAdopted(spool: DurableSpool, fragment: SpoolFragment): Promise<void>;
  /** Logs the release, then removes the file. */
  release(spool: DurableSpool, fragment: SpoolFragment): void;
  /** Logs that the journal is gone, then removes its files. */
  remove(spool: DurableSpool): void;
  /** Syncs the bytes of a direct append, and the file's directory entry when it is new (D3). */
  syncDirect(
    spool: DurableSpool,
    fragment: SpoolFragment,
    direct: DirectBytes,
    done: (failure: WireError | undefined) => void,
  ): void;
  /**
   * Bytes of a fragment's file, checked (spool-reads.ts).
   * @param range of the journal; none of it is in memory
   * @throws {WireError} CORRUPT, NOT_FOUND, UNAVAILABLE, SHUTTING_DOWN
   */
  readFile(
    spool: DurableSpool,
    fragment: SpoolFragment,
    range: { readonly begin: number; readonly end: number },
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /** Copies what stands in a file from `from` on to quarantine. @throws {WireError} DISK_FULL, UNAVAILABLE */
  copyAside(file: FileTail): Promise<void>;
  /**
   * After a cut that is logged: shortens the file that was copied, moves the others to quarantine, and sums what has to
   * be summed anew. What fails is done by the next checkpoint or recovery.
   */
  tidyCut(spool: DurableSpool, shortened: FileTail | undefined, moved: readonly string[]): Promise<void>;
  /** The coded error for what the disk answered; a failed sync ends the log (D5). */
  diskFailure(error: unknown): WireError;
  /** The spool's acknowledged state changed: write its bytes and tell its listeners, once a batch. */
  touched(spool: DurableSpool): void;
}
