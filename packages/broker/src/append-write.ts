// A chunk of an append on its way into the spool and to the peers. Large content waits until everything before it is
// confirmed. Another activation may have to do that, which needs the journal's pipeline: whoever writes has it, and so
// his writes can be ended at any time.
import { never } from "@millrace/base";
import type { SpoolAppend } from "@millrace/fragments";
import type { JournalReplica } from "./journal-replica.ts";

export interface ChunkWrite {
  /** Rejects, too, once `stop` was called: the append is to be rolled back. */
  readonly ended: Promise<void>;
  readonly stop: (reason: Error) => void;
}

/** @returns undefined: it is written @throws {WireError} what broke the pipeline that large content would wait for */
export function writeChunk(
  append: SpoolAppend,
  { spool, replication }: Pick<JournalReplica, "spool" | "replication">,
  chunk: Uint8Array,
): ChunkWrite | undefined {
  const isLarge = append.bytes + chunk.length >= spool.directBytesMin;
  if (isLarge && replication?.failure !== undefined) throw replication.failure;
  const ending = isLarge ? new AbortController() : undefined;
  const own = append.write(chunk, ending?.signal ?? never);
  // The peers would wait for the same.
  const written =
    own === undefined
      ? replication?.commits?.content(chunk)
      : own.then(() => replication?.commits?.content(chunk));
  if (written === undefined) return undefined;
  const stopping = ending ?? new AbortController();
  const { signal } = stopping;
  const ended = new Promise<void>((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    written.then(resolve, reject);
  });
  return { ended, stop: (reason) => stopping.abort(reason) };
}
