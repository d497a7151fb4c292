// What stands in the staging store, against the slices that need it. An object of a slice that waits for its load
// must be there; whatever no slice names is left over from a process that was killed, and the platform sweeps it away
// in time.
import { text, WireError } from "@millrace/base";
import { prefixRange, type CoordinationStore } from "@millrace/metadata";
import type { ObjectStore } from "@millrace/stores";
import { crc32c } from "@millrace/wal";
import type { CheckNotes } from "./doctor-report.ts";

/** A staged object as its slice records it. */
interface StagedObject {
  readonly path: string;
  readonly bytes: number;
  readonly crc32c: number;
}

interface StoredSlice {
  readonly state: string;
  readonly objects?: readonly StagedObject[];
}

/** Where slices stand in the coordination store, and the state in which their objects are needed. */
const SLICES = "stream/storage/slice/all/";
const NEEDED_STATE = "uploaded";

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
  for (const { key, value } of (await coordination.range(prefixRange(SLICES), signal)).kvs) {
    const slice = JSON.parse(text(value)) as StoredSlice;
    notes.add("slices");
    for (const object of slice.objects ?? []) {
      named.add(object.path);
      if (slice.state !== NEEDED_STATE) continue;
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
  object: StagedObject,
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
