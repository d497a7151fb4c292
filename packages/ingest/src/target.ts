// The target of a sink as a port: where staged rows become table rows, exactly once (D22, D23). The warehouse
// implements it over DuckDB; the simulator has a model of it. A target is one connection; which table of it is meant, a
// TargetRef says.
import { WireError } from "@millrace/base";
import type { Column, SinkKey } from "./definitions.ts";
import { shownTarget, type TargetRef } from "./target-ref.ts";
import type { TargetKind } from "./target-settings.ts";

/**
 * A staged object: rows of one partition that were mapped by one sink version, in journal order. A Parquet file
 * (staging-parquet.ts, docs/adr/0002-staging-format.md) with the columns `_offset` BIGINT, then `c0`, `c1`, … VARCHAR:
 * `c<i>` holds `columns[i]`. None is ever null. `_journal` is PartitionLoad.journal for all its rows.
 */
export interface StagedObject {
  /** Path in the staging store. */
  readonly path: string;
  /** The version's columns: `c0` is the first. */
  readonly columns: readonly Column[];
  readonly sinkVersion: number;
  readonly rows: number;
  readonly bytes: number;
  /** CRC-32C of the object. A target that loads something else than these bytes loses or doubles rows. */
  readonly crc32c: number;
}

/** Offsets [begin, end) of one partition and the staged objects that hold their rows. */
export interface PartitionLoad {
  readonly journal: string;
  readonly begin: number;
  readonly end: number;
  /** In journal order; may be empty (all frames were duplicates): the loaded end moves all the same. */
  readonly objects: readonly StagedObject[];
  /**
   * True when the rotation that chose this target recorded `begin` as its start here. What lies between the target's
   * loaded end and `begin` went elsewhere then: the load is taken when there is no loaded end or one up to `begin`
   * (docs/adr/0004-coming-back-to-a-target.md). Otherwise `begin` must be the loaded end.
   */
  readonly startsTarget: boolean;
}

export interface LoadRequest {
  /** The place that the target was opened for, with the table. */
  readonly target: TargetRef;
  /** Columns of the newest version: the table is created from them, or columns are added. */
  readonly columns: readonly Column[];
  readonly partitions: readonly PartitionLoad[];
}

/** All partitions of a load commit together with their rows, or none does. */
export type LoadOutcome =
  | { readonly kind: "loaded"; readonly rows: number }
  /** Every partition's end was reached before: nothing was done. */
  | { readonly kind: "already" }
  /** A partition's loaded end is not past its end, nor one from which this load goes on: nothing was done. */
  | {
      readonly kind: "refused";
      readonly journal: string;
      readonly begin: number;
      readonly loadedEnd: number | undefined;
    };

/**
 * What a table that is there may be like. `same` (the default): it has the columns of the mapping. `growing`: the sink
 * has filled it with older versions of its mapping; it takes the columns that it lacks, and keeps those that no mapping
 * has any more.
 */
export type TableFit = "same" | "growing";

/** Loaded end of a journal whose table was removed. */
export const REMOVED_END = Number.MAX_SAFE_INTEGER;

export interface Target {
  /**
   * Why a sink with `columns` must not be made on `tableId`, fit for its owner: a name that the target cannot have, or
   * a table that is there with other columns; undefined when nothing speaks against it.
   */
  check(
    tableId: string,
    columns: readonly Column[],
    signal: AbortSignal,
    fit?: TableFit,
  ): Promise<string | undefined>;
  /**
   * Creates the table with its system columns when it is missing, and the columns that a growing one lacks.
   * @throws {WireError} INVALID_ARGUMENT with what `check` would have said
   */
  prepare(tableId: string, columns: readonly Column[], signal: AbortSignal, fit?: TableFit): Promise<void>;
  /**
   * @throws {WireError} UNAVAILABLE, OUTCOME_UNKNOWN (ask again: the loaded end tells), UNPROCESSABLE (will fail
   * again), CORRUPT (a staged object is missing or has other bytes than its CRC says)
   */
  load(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome>;
  /**
   * Removes the table with all its rows; one that is not there is removed. From then on no load of `journals` makes it
   * anew: they count as loaded to REMOVED_END.
   * @throws {WireError} INVALID_ARGUMENT when others have made the table; as load() otherwise, and again is right
   */
  drop(tableId: string, journals: readonly string[], signal: AbortSignal): Promise<void>;
  /** Loaded end of each partition that has one in `tableId`. */
  loadedEnds(tableId: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
}

/** Who knows the targets of an installation. */
export interface TargetRegistry {
  /**
   * The one that has the table of `ref`, with the login of `sink`.
   * @throws {WireError} UNPROCESSABLE when there is none
   */
  open(ref: TargetRef, sink: SinkKey, signal: AbortSignal): Promise<Target>;
}

/** The registry of an installation that has one target, of one kind. */
export function onlyTarget<T>(kind: TargetKind, target: T): { open(ref: TargetRef): Promise<T> } {
  return {
    open: async (ref) => {
      if (ref.kind === kind && ref.connection === undefined) return target;
      throw new WireError("UNPROCESSABLE", `there is no target ${shownTarget(ref)} here`);
    },
  };
}

/** Columns that every target table has besides its mapping: the row's partition and the offset of its first byte. */
export const SYSTEM_COLUMNS = { journal: "_journal", offset: "_offset" } as const;
