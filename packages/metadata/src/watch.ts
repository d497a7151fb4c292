// A watch is a cursor over the store's history: no buffer per watcher, so a slow one costs nothing and finds out that
// it is too slow when the history it needs has been compacted.
import { WireError } from "@millrace/base";
import type { CommitPipeline } from "./commit-pipeline.ts";
import type { StoreEvent, WatchBatch, WatchRequest } from "./coordination.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { inRange } from "./key.ts";
import { WATCH_BATCH_BYTES_MAX, WATCH_BATCH_EVENTS_MAX } from "./limits.ts";
import type { Mvcc } from "./mvcc.ts";

/**
 * Yields the events of `request`'s range from revision `from` on, whole revisions only, until `signal` aborts.
 * @throws {WireError} COMPACTED; UNAVAILABLE when the store closes or its log has failed
 */
export async function* watchHistory(
  state: Mvcc,
  pipeline: CommitPipeline,
  request: WatchRequest & { readonly fromRevision: number },
  signal: AbortSignal,
): AsyncGenerator<WatchBatch, void, undefined> {
  let next = request.fromRevision;
  while (!signal.aborted) {
    if (next < state.compactRevision) {
      throw etcdRefusal("compacted", `${next} < ${state.compactRevision}`);
    }
    const events: StoreEvent[] = [];
    const begin = next;
    next = collect(state, pipeline.durableRevision, request, begin, events);
    if (events.length > 0 || (request.progress === true && next > begin)) {
      yield { header: state.header(next - 1), events };
      continue;
    }
    if (pipeline.isClosed) throw new WireError("UNAVAILABLE", "the coordination store is closed");
    try {
      await pipeline.progress.next(signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
  }
}

/** Appends events of revisions from `from` on until a batch is full. @returns the revision to go on from */
function collect(
  state: Mvcc,
  durableRevision: number,
  request: WatchRequest,
  from: number,
  events: StoreEvent[],
): number {
  let bytes = 0;
  let revision = from;
  while (revision <= durableRevision) {
    for (const event of state.eventsAt(revision)) {
      if (!inRange(event.kv.key, request)) continue;
      events.push(event);
      bytes += event.kv.key.length + event.kv.value.length;
    }
    revision++;
    if (events.length >= WATCH_BATCH_EVENTS_MAX || bytes >= WATCH_BATCH_BYTES_MAX) break;
  }
  return revision;
}
