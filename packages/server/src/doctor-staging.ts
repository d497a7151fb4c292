// What stands in the staging store, against the slices that need it. An object of a slice that waits for its load
// must be there; whatever no slice names is left over from a process that was killed, and the platform sweeps it away
// in time.
import { WireError } from "@millrace/base";
import { decodeSlice, SLICES_PREFIX } from "@millrace/ingest";
import { prefixRange, type CoordinationStore } from "@millrace/metadata";
import type { ObjectStore } from "@millrace/stores";
import { crc32c } from "@millrace/wal";
import type { CheckNotes } from "./doctor-report.ts";

type Slice = ReturnType<typeof decodeSlice>;

export async function examineStaging(
  coordination: CoordinationStore,
  store: ObjectStore,
  notes: CheckNotes,
  signal: AbortSignal,
): Promise<void> {
  const found = new Map<string, number>();
  for await (const { path, bytes } of store.list("", signal)) {
    found.set(path, bytes);
    notes.add("objects");
    notes.add("bytes", bytes);
  }
  const named = new Set<string>();
  for (const { key, value } of (await coordination.range(prefixRange(SLICES_PREFIX), signal)).kvs) {
    notes.add("slices");
    let slice: Slice;
    try {
      slice = decodeSlice(value, key);
    } catch (thrown) {
      notes.bad(WireError.from(thrown).message);
      continue;
    }
    for (const object of "objects" in slice ? slice.objects : []) {
      named.add(object.path);
      if (slice.state !== "uploaded") continue; // Later ones are in the table.
      notes.add("waiting");
      const damage = await damageOf(object, store, signal);
      if (damage !== undefined)
        notes.warn(`${object.path}: ${damage}; slice ${key} will be staged again from its journal`);
    }
  }
  for (const [path, bytes] of found) {
    if (named.has(path)) continue;
    notes.add("leftovers");
    notes.warn(`${path}: ${bytes} bytes that no slice names; the platform removes them in time`);
  }
}

async function damageOf(
  object: { readonly path: string; readonly bytes: number; readonly crc32c: number },
  store: ObjectStore,
  signal: AbortSignal,
): Promise<string | undefined> {
  let bytes = 0;
  let crc = 0;
  try {
    for await (const chunk of store.get(object.path, {}, signal)) {
      bytes += chunk.length;
      crc = crc32c(chunk, crc);
    }
  } catch (thrown) {
    signal.throwIfAborted();
    return WireError.from(thrown).message;
  }
  if (bytes !== object.bytes) return `${bytes} bytes instead of ${object.bytes}`;
  return crc === object.crc32c ? undefined : "its CRC-32C is not the one that was staged";
}
