// Statistics by level (specification 1.12) and what the console shows, from the entities and from what readers see now.
// Nothing is counted twice or kept beside the entities, so the numbers are those of the rows.
import type { SinkKey } from "./definitions.ts";
import type { RetryBlock } from "./retry-block.ts";
import { statisticsOfTotals } from "./reader-progress.ts";
import { SinkLags, type LagFeed, type PartitionLag, type SinkLag } from "./sink-lag.ts";
import {
  addStatistics,
  endOf,
  NO_STATISTICS,
  SLICE_LEVEL,
  statisticsOf,
  type Level,
  type SinkReset,
  type Slice,
  type Statistics,
  type StorageFile,
} from "./storage-entities.ts";
import { isoTime } from "./storage-json.ts";
import { withoutReset } from "./statistics-reset.ts";
import type { SinkView, StorageView } from "./storage-view.ts";

export interface LevelStatistics {
  /** null when there is nothing. */
  readonly total: Statistics | null;
  /** Without the levels that have no records. */
  readonly levels: Readonly<Partial<Record<Level, Statistics>>>;
}

/** All three while the last attempt has failed. */
export interface RetryStatistics {
  readonly retryAttempt?: number;
  readonly retryReason?: string;
  readonly retryAfter?: string;
}

export interface FileStatistics extends RetryStatistics {
  readonly fileId: string;
  readonly state: StorageFile["state"];
  readonly openedAt: string;
  readonly closingAt?: string;
  readonly importingAt?: string;
  readonly importedAt?: string;
  readonly statistics: LevelStatistics;
}

export interface SliceSnapshot extends RetryStatistics {
  readonly partition: number;
  readonly fileId: string;
  readonly begin: number;
  readonly end?: number;
  readonly state: Slice["state"];
  readonly openedAt: string;
  readonly records: number;
}

export interface SinkSnapshot extends SinkKey {
  readonly accepted: number;
  readonly loaded: number;
  readonly lag: SinkLag;
  readonly files: readonly FileStatistics[];
  /** Those that are not imported, and the newest of the others. */
  readonly slices: readonly SliceSnapshot[];
}

const LEVELS: readonly Level[] = ["local", "staging", "target"];
/** Slices of a sink that a snapshot shows. */
const SLICES_SHOWN = 40;
const FILES_SHOWN = 40;

export class StorageStatistics {
  readonly #view: StorageView;
  readonly #feed: LagFeed;
  readonly #lags: SinkLags;

  constructor(view: StorageView, feed: LagFeed) {
    this.#view = view;
    this.#feed = feed;
    this.#lags = new SinkLags(feed);
  }

  /** Everything that was accepted for the sink since its statistics were cleared. */
  total(key: SinkKey): LevelStatistics {
    return levelStatistics(withoutReset(this.#sums(key), this.#view.sink(key)?.reset));
  }

  /** What clears the statistics of a sink as they are now; undefined when there is nothing to clear. */
  resetOf(key: SinkKey, nowMs: number): SinkReset | undefined {
    const { total } = levelStatistics(this.#sums(key));
    if (total === null) return undefined;
    const { projectId, branchId, sourceId, sinkId } = key;
    return { projectId, branchId, sourceId, sinkId, at: isoTime(nowMs), statistics: total };
  }

  /** Everything that was ever accepted, by level. */
  #sums(key: SinkKey): Partial<Record<Level, Statistics>> {
    const sink = this.#view.sink(key);
    if (sink === undefined) return {};
    const sums: Partial<Record<Level, Statistics>> = {};
    if (sink.sum !== undefined) sums.target = sink.sum.value.statistics;
    for (const { slices } of sink.files.values()) {
      for (const { value } of slices.values()) this.#add(sums, value);
    }
    return sums;
  }

  /**
   * Of files that were opened since the statistics were cleared.
   * Specification 1.12: imported first, then those without a failure, then by opening.
   */
  files(key: SinkKey, options: { readonly failedFiles?: boolean } = {}): readonly FileStatistics[] {
    const sink = this.#view.sink(key);
    const files = [...(sink?.files.values() ?? [])].flatMap(({ entity, slices }) => {
      return entity === undefined || entity.value.openedAt <= (sink?.reset?.at ?? "")
        ? []
        : [
            this.#file(
              entity.value,
              [...slices.values()].map(({ value }) => value),
            ),
          ];
    });
    const rank = (file: FileStatistics): number =>
      file.state === "imported" ? 0 : file.retryReason === undefined ? 1 : 2;
    return files
      .filter(
        (file) =>
          options.failedFiles !== true || (file.state !== "imported" && file.retryAttempt !== undefined),
      )
      .sort((a, b) => rank(a) - rank(b) || Number(a.fileId) - Number(b.fileId));
  }

  /** Every sink with its files and slices as they are now. */
  snapshot(nowMs: number): readonly SinkSnapshot[] {
    return [...this.#view.sinks.values()].map((sink) => this.#sink(sink, nowMs));
  }

  /** Bytes of a sink's partitions that are not in its table. */
  lagBytes(key: SinkKey): number {
    const sink = this.#view.sink(key);
    return sink === undefined ? 0 : this.#lags.bytes(sink);
  }

  /** The same of all sinks. */
  allLagBytes(): number {
    let sum = 0;
    for (const sink of this.#view.sinks.values()) sum += this.#lags.bytes(sink);
    return sum;
  }

  lag(key: SinkKey, nowMs: number): SinkLag {
    const sink = this.#view.sink(key);
    return sink === undefined ? { bytes: 0, ms: 0 } : this.#lags.of(sink, nowMs);
  }

  /** Partitions of the sink with a path that are behind. */
  behind(path: string, nowMs: number): readonly PartitionLag[] {
    const sink = this.#view.sinks.get(path);
    return sink === undefined ? [] : [...this.#lags.partitions(sink, nowMs)];
  }

  #sink(sink: SinkView, nowMs: number): SinkSnapshot {
    const { total, levels } = levelStatistics(this.#sums(sink.key));
    const shown: Slice[] = [];
    for (const { slices } of sink.partitions.values()) shown.push(...slices.map(({ value }) => value));
    shown.sort((a, b) => Number(a.state === "imported") - Number(b.state === "imported") || newest(a, b));
    const slices = shown.slice(0, SLICES_SHOWN).map((slice) => this.#slice(slice));
    const files = [...this.files(sink.key)]
      .sort((a, b) => Number(b.fileId) - Number(a.fileId))
      .slice(0, FILES_SHOWN);
    return {
      ...sink.key,
      accepted: total?.recordsCount ?? 0,
      loaded: levels.target?.recordsCount ?? 0,
      lag: this.#lags.of(sink, nowMs),
      files,
      slices,
    };
  }

  #slice(slice: Slice): SliceSnapshot {
    const end = endOf(slice);
    return {
      partition: slice.n,
      fileId: slice.fileId,
      begin: slice.begin,
      ...(end === undefined ? {} : { end }),
      state: slice.state,
      openedAt: slice.openedAt,
      records: this.#statistics(slice).recordsCount,
      ...retryStatistics(slice.retry),
    };
  }

  #file(file: StorageFile, slices: readonly Slice[]): FileStatistics {
    const sums: Partial<Record<Level, Statistics>> = {};
    for (const slice of slices) this.#add(sums, slice);
    const { fileId, state, openedAt, retry } = file;
    return {
      fileId,
      state,
      openedAt,
      ...("closingAt" in file ? { closingAt: file.closingAt } : {}),
      ...("importingAt" in file ? { importingAt: file.importingAt } : {}),
      ...("importedAt" in file ? { importedAt: file.importedAt } : {}),
      ...retryStatistics(retry),
      statistics: levelStatistics(sums),
    };
  }

  #add(sums: Partial<Record<Level, Statistics>>, slice: Slice): void {
    const level = SLICE_LEVEL[slice.state];
    sums[level] = addStatistics(sums[level] ?? NO_STATISTICS, this.#statistics(slice));
  }

  #statistics(slice: Slice): Statistics {
    if (slice.state !== "writing") return statisticsOf(slice) ?? NO_STATISTICS;
    const progress = this.#feed.progress(slice);
    return progress?.begin === slice.begin ? statisticsOfTotals(progress) : NO_STATISTICS;
  }
}

function retryStatistics(retry: RetryBlock | undefined): RetryStatistics {
  if (retry === undefined) return {};
  return { retryAttempt: retry.attempt, retryReason: retry.reason, retryAfter: retry.retryAfter };
}

function levelStatistics(sums: Readonly<Partial<Record<Level, Statistics>>>): LevelStatistics {
  const levels: Partial<Record<Level, Statistics>> = {};
  let total = NO_STATISTICS;
  for (const level of LEVELS) {
    const sum = sums[level];
    if (sum === undefined || sum.recordsCount === 0) continue;
    levels[level] = sum;
    total = addStatistics(total, sum);
  }
  return { total: total.recordsCount === 0 ? null : total, levels };
}

function newest(a: Slice, b: Slice): number {
  return Number(b.fileId) - Number(a.fileId) || a.n - b.n || b.begin - a.begin;
}
