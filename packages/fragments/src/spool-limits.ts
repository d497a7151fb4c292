// Sizes and bounds of local storage, each with its reason.
import { LOG_DEFAULTS, type LogOptions } from "@millrace/wal";

export interface SpoolOptions {
  readonly log: LogOptions;
  /** From this size on an append is written and synced in its spool, and the log carries its record only (D3). */
  readonly directBytesMin: number;
  /** Memory for recent bytes of all journals; they are pinned until the spool file has them. */
  readonly tailBytesMax: number;
  /** First and largest piece of that memory of one journal: an idle journal must be cheap, a busy one contiguous. */
  readonly tailBlockBytesMin: number;
  readonly tailBlockBytesMax: number;
  /** Appends wait while more bytes than this wait for the log. */
  readonly queueBytesMax: number;
  /** A checkpoint is made when the log holds more than this. */
  readonly checkpointLogBytes: number;
  /** Space that is kept free, so that log and checkpoint can finish (D5). */
  readonly reserveBytes: number;
  /** Longest pause between looks at the free space while bytes are written, and between attempts on a full disk. */
  readonly retryMs: number;
  /**
   * A spool file is synced when so many of its bytes are unsynced: at a checkpoint there is little left to sync, and
   * the log's syncs never stand behind all that was written since the last one.
   */
  readonly syncBehindBytes: number;
  /** Files synced together on the bulk lane during a checkpoint: a direct append waits for so many at most. */
  readonly syncBatchFiles: number;
}

const MIB = 1024 * 1024;

/** Changes of a journal's registers that are remembered: each is an append that others do not have yet. */
export const REGISTER_MARKS_MAX = 256;

export const SPOOL_DEFAULTS: SpoolOptions = {
  log: { ...LOG_DEFAULTS, name: "journals" },
  directBytesMin: 256 * 1024,
  tailBytesMax: 64 * MIB,
  tailBlockBytesMin: 4 * 1024,
  tailBlockBytesMax: 256 * 1024,
  queueBytesMax: 16 * MIB,
  checkpointLogBytes: 3 * LOG_DEFAULTS.segmentBytes,
  reserveBytes: 2 * LOG_DEFAULTS.segmentBytes,
  retryMs: 250,
  syncBehindBytes: MIB,
  syncBatchFiles: 16,
};
