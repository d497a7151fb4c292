// Staged objects of one partition and one sink version as lines of text (copy-text.ts), one object after the other.
import { openStaged, type StagedObject } from "@millrace/ingest";
import type { ObjectStore } from "@millrace/stores";
import { copyText, type CopyOptions } from "./copy-text.ts";

/** @throws {WireError} as {@link copyText}; of the store; CORRUPT: the object is not what was staged */
export async function* stagedLines(
  store: ObjectStore,
  objects: readonly StagedObject[],
  options: CopyOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const object of objects) {
    const rows = await openStaged(store, object, signal);
    yield* copyText(rows, options);
  }
}
