// What must hold of partitions, slices and files in every state of the store (storage-entities.ts E1-E3), as pure
// functions. Every transaction is checked against them before it is sent; the simulator checks the store with them.
import {
  endOf,
  NEXT_FILE_STATE,
  NEXT_SLICE_STATE,
  PERMITTED,
  type FileState,
  type Partition,
  type Slice,
  type SliceState,
  type StorageFile,
} from "./storage-entities.ts";
import { laneOf } from "./storage-limits.ts";
import { isSameTarget } from "./target-ref.ts";

/** E2: why `file` may not have these slices; undefined when it may. */
export function fileViolation(file: StorageFile, slices: readonly Slice[]): string | undefined {
  const bad = slices.find((slice) => !PERMITTED[file.state].includes(slice.state));
  if (bad !== undefined) return `file ${file.fileId} is ${file.state} and has a slice that is ${bad.state}`;
  const foreign = slices.find(
    (slice) => !isSameTarget(slice.target, file.target) || laneOf(slice.n) !== file.lane,
  );
  if (foreign === undefined) return undefined;
  return `file ${file.fileId} has a slice of partition ${foreign.n} with another target or lane`;
}

/**
 * E3: why `slices`, ascending, do not tile their partition; undefined when they do. Those of removed files are missing
 * at the front. A slice with another target than its predecessor's says that it starts there (D23).
 */
export function tilingViolation(partition: Partition, slices: readonly Slice[]): string | undefined {
  for (const [i, slice] of slices.entries()) {
    const end = endOf(slice);
    const next = slices[i + 1];
    if (end !== undefined && end < slice.begin) return `slice ${slice.begin} ends at ${end}`;
    if (next !== undefined && end !== next.begin) {
      return `slice ${slice.begin} ends at ${String(end)}, the next begins at ${next.begin}`;
    }
    if (next !== undefined && !next.startsTarget && !isSameTarget(slice.target, next.target)) {
      return `slice ${next.begin} has another target than the one before and does not start it`;
    }
  }
  const last = slices.at(-1);
  if (partition.state === "retired") {
    return last === undefined || endOf(last) === partition.end
      ? undefined
      : "a retired partition has an open slice";
  }
  return last?.state === "writing" ? undefined : `the last slice is ${last?.state ?? "missing"}, not writing`;
}

/** Whether `to` is `from` or lies on the way of states that begins there. */
export function fileMayBecome(from: FileState, to: FileState): boolean {
  return reaches(NEXT_FILE_STATE, from, to);
}

export function sliceMayBecome(from: SliceState, to: SliceState): boolean {
  return reaches(NEXT_SLICE_STATE, from, to);
}

function reaches<S extends string>(next: Readonly<Record<S, S | undefined>>, from: S, to: S): boolean {
  for (let state: S | undefined = from; state !== undefined; state = next[state])
    if (state === to) return true;
  return false;
}
