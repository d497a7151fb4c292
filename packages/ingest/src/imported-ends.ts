// How far partitions are imported, read straight from what the coordination store holds: for whoever looks at it while
// no platform runs.
import { WireError } from "@millrace/base";
import { partitionKey } from "./storage-keys.ts";
import { decodeStorageValue } from "./storage-view.ts";
import type { Partition } from "./storage-entities.ts";

/**
 * By journal, the offset below which everything is in its table, and below which its fragments may have been removed;
 * 0 where that is not known.
 * @param values what stands below STORAGE_PREFIX
 * @param onUnreadable told of partitions that cannot be decoded, and of slices: theirs are left out
 */
export function importedEnds(
  values: Iterable<{ readonly key: string; readonly value: Uint8Array }>,
  onUnreadable: (error: WireError) => void,
): ReadonlyMap<string, number> {
  const partitions = new Map<string, Partition>();
  /** Begin of the first slice that is not imported. */
  const open = new Map<string, number>();
  for (const { key, value } of values) {
    try {
      const stored = decodeStorageValue(key, value);
      if (stored.kind === "partition") partitions.set(partitionKey(stored.partition), stored.partition);
      if (stored.kind !== "slice" || stored.slice.state === "imported") continue;
      const { slice } = stored;
      const of = partitionKey(slice);
      open.set(of, Math.min(open.get(of) ?? slice.begin, slice.begin));
    } catch (thrown) {
      onUnreadable(WireError.from(thrown));
    }
  }
  const ends = new Map<string, number>();
  for (const [key, partition] of partitions) {
    const retired = partition.state === "retired" ? partition.end : 0;
    ends.set(partition.journal, open.get(key) ?? retired);
  }
  return ends;
}
