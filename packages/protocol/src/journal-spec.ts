// The specification of a journal. Durations are milliseconds; see duration.ts for their precision.
import type { CompressionCodec, SuspendLevel } from "./enums.ts";
import type { LabelSet } from "./label-set.ts";

export interface JournalSpec {
  readonly name: string;
  /** Wanted number of replicas, 1..5. */
  readonly replication: number;
  readonly labels: LabelSet;
  readonly fragment: FragmentSpec;
  /** One of FLAG. */
  readonly flags: number;
  /** Bytes a second, 0 = no limit. Values from 2^53 on are read as 2^53-1. */
  readonly maxAppendRate: number;
  /** Absent = { NONE, 0 }. */
  readonly suspend?: Suspend;
}

/** How a journal's fragments are cut, compressed, stored and kept. */
export interface FragmentSpec {
  /** Target length in bytes before compression. */
  readonly length: number;
  readonly compressionCodec: CompressionCodec;
  /** URLs; new fragments go to the first, all are read. */
  readonly stores: readonly string[];
  /** Between listings of the stores. */
  readonly refreshIntervalMs: number;
  /** Age at which pruning deletes a fragment; 0 = at once. */
  readonly retentionMs: number;
  /** Fragments are closed at multiples of this wall time; 0 = never for age. */
  readonly flushIntervalMs: number;
  /** See path-template.ts. */
  readonly pathPostfixTemplate: string;
}

export interface Suspend {
  readonly level: SuspendLevel;
  /** Lower bound of the write head on resume. */
  readonly offset: number;
}
