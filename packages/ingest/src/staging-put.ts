// Puts the rows of a slice into the staging store: one object per sink version, named by what it holds and its CRC, so
// that neither a retry nor another reader ever puts other bytes under a name.
import { hex16 } from "@millrace/base";
import type { ObjectStore } from "@millrace/stores";
import { stagesByVersion, type Segment } from "./reader-segment.ts";
import { stagedObject } from "./staging-parquet.ts";
import type { StagedEntry } from "./storage-entities.ts";

/** Directory of the staged objects of a partition journal, with its slash: no two lives of a sink share one. */
export function stagingPrefix(journal: string): string {
  return `${journal.replace(/^stream\//, "")}/`;
}

/** End of the slice whose rows an object of {@link stagingPrefix} holds; undefined for a foreign object. */
export function stagedEnd(path: string): number | undefined {
  const match = /\/[0-9a-f]{16}-([0-9a-f]{16})-v\d+-[0-9a-f]{8}\.parquet$/.exec(path);
  return match === null ? undefined : Number.parseInt(match[1]!, 16);
}

/**
 * @param segments of [begin, end), in order
 * @returns one entry per object, all confirmed; none when there are no rows
 * @throws {WireError} of the store: putting again is right
 */
export async function putStaged(
  store: ObjectStore,
  slice: { readonly journal: string; readonly begin: number; readonly end: number },
  segments: readonly Segment[],
  signal: AbortSignal,
): Promise<readonly StagedEntry[]> {
  const entries: StagedEntry[] = [];
  for (const [sinkVersion, stages] of stagesByVersion(segments)) {
    const { chunks, rows, bytes, crc32c } = stagedObject(stages);
    const crc = crc32c.toString(16).padStart(8, "0");
    const name = `${hex16(slice.begin)}-${hex16(slice.end)}-v${sinkVersion}-${crc}.parquet`;
    const path = stagingPrefix(slice.journal) + name;
    await store.put(path, iterate(chunks), { bytes }, signal);
    entries.push({ path, sinkVersion, rows, bytes, crc32c });
  }
  return entries;
}

async function* iterate(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk;
}
