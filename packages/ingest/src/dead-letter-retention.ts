// Removes the oldest dead letters (D27): those that were replayed at once, others after the sink's time or beyond its
// bytes. Only persisted fragments go, as with partitions.
import { WireError, type Clock, type Logger } from "@millrace/base";
import { prefixRange, type CoordinationStore } from "@millrace/metadata";
import type { JournalTrimmer } from "./cleanup-fragments.ts";
import { letterHead } from "./dead-letter-log.ts";
import { DEAD_LETTERS_PREFIX, decodeLetterState } from "./dead-letter-state.ts";
import { DEFAULT_DEAD_LETTERS, deadLetterJournal, type SinkKey } from "./definitions.ts";
import type { JournalTransport } from "@millrace/client";
import type { SinkCatalog } from "./storage-catalog.ts";
import type { WorkOwner } from "./work-owner.ts";

export interface LetterRetentionPorts {
  readonly store: CoordinationStore;
  readonly transport: JournalTransport;
  readonly trimmer: JournalTrimmer;
  readonly catalog: Pick<SinkCatalog, "sink">;
  /** Of sinks, by their paths. */
  readonly share: WorkOwner;
  readonly clock: Clock;
  readonly logger: Logger;
}

const INTERVAL_MS = 2 * 60_000;
/** A suspended journal, which has all in its store, is woken so often to look at it. */
const WAKE_INTERVAL_MS = 24 * 3_600_000;
const EVERYTHING = Number.MAX_SAFE_INTEGER;
const REPLAYED = { keptMs: 0, keptBytes: 0 };

/** Looks at all journals of its sinks, again and again, until `signal` aborts. */
export async function keepLetters(ports: LetterRetentionPorts, signal: AbortSignal): Promise<void> {
  const looked = new Map<string, number>();
  while (!signal.aborted) {
    try {
      await trimLetters(ports, looked, signal);
    } catch (thrown) {
      if (signal.aborted) return;
      ports.logger.warn("dead-letters-not-trimmed", { error: WireError.from(thrown) });
    }
    await ports.clock.sleep(INTERVAL_MS, signal).catch(() => undefined);
  }
}

/**
 * What fails of one sink leaves the others alone. @returns fragments removed @throws {WireError} of the store
 * @param looked when each journal was last looked at, in monotonic milliseconds
 */
export async function trimLetters(
  ports: LetterRetentionPorts,
  looked: Map<string, number>,
  signal: AbortSignal,
): Promise<number> {
  const { store, transport, trimmer, catalog, share, clock, logger } = ports;
  const { kvs } = await store.range(prefixRange(DEAD_LETTERS_PREFIX), signal);
  let removed = 0;
  for (const { key, value } of kvs) {
    const path = key.slice(DEAD_LETTERS_PREFIX.length);
    if (!share.owns(path)) continue;
    try {
      const { journal, position } = decodeLetterState(value, key);
      const sink = catalog.sink(keyOfPath(path));
      // What has no sink any more is kept as long as letters are by default.
      const isOwn = sink !== undefined && deadLetterJournal(sink) === journal;
      const policy = isOwn ? sink.deadLetters : DEFAULT_DEAD_LETTERS;
      const trim = async (imported: number, kept: { keptMs: number; keptBytes: number }): Promise<void> => {
        const journals = [{ journal, imported, keysBegin: imported, isBehind: false, stagedEnd: imported }];
        removed += (await trimmer.trim(journals, kept, clock.wallMs(), signal)).removed;
      };
      const nowMs = clock.monotonicMs();
      const lookedMs = looked.get(journal) ?? nowMs;
      looked.set(journal, lookedMs);
      if (nowMs - lookedMs >= WAKE_INTERVAL_MS) await letterHead({ transport }, journal, signal);
      await trim(position.offset, REPLAYED);
      await trim(EVERYTHING, policy);
      looked.set(journal, nowMs);
    } catch (thrown) {
      signal.throwIfAborted();
      const { code } = WireError.from(thrown);
      if (code === "SUSPENDED" || code === "JOURNAL_NOT_FOUND") continue;
      logger.warn("dead-letters-not-trimmed", { sink: path, error: WireError.from(thrown) });
    }
  }
  return removed;
}

function keyOfPath(path: string): SinkKey {
  const [projectId, branchId, sourceId = "", sinkId = ""] = path.split("/");
  return { projectId: Number(projectId), branchId: Number(branchId), sourceId, sinkId };
}
