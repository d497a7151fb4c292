// Sizes and bounds of a log, each with its reason.

export interface LogOptions {
  /** Label `log` of its metrics and a field of its log lines: a process has several logs. */
  readonly name: string;
  /** Directory of the log on its disk. */
  readonly dir: string;
  /** Size of a segment. A checkpoint can free whole segments only. */
  readonly segmentBytes: number;
  /** Size of the first segment when none is at hand: writing its zeros is part of every cold start. */
  readonly firstSegmentBytes: number;
  /** Largest group: what one sync commits, and what a torn tail can take. Also bounds a record. */
  readonly groupBytesMax: number;
  /** What may wait for the log; above it `append` refuses. */
  readonly queueBytesMax: number;
  readonly queueRecordsMax: number;
  /** After so long without a record an empty group says that the last one is synced (D2). */
  readonly idleMs: number;
  /** Recycled segments that are kept for use; more are removed. As many as a checkpoint frees: no zeros are written. */
  readonly sparesMax: number;
  /** Pause between attempts to make a segment ready on a full disk. */
  readonly retryMs: number;
  /** A sync that takes longer makes the log unhealthy, though not failed. */
  readonly stuckMs: number;
}

/** Without a name: whoever opens a log gives it one. */
export const LOG_DEFAULTS: Omit<LogOptions, "name"> = {
  dir: "log",
  segmentBytes: 16 * 1024 * 1024,
  firstSegmentBytes: 1024 * 1024,
  groupBytesMax: 4 * 1024 * 1024,
  queueBytesMax: 32 * 1024 * 1024,
  queueRecordsMax: 100_000,
  idleMs: 100,
  sparesMax: 4,
  retryMs: 250,
  stuckMs: 5000,
};
