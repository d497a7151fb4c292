// For coordinators and statistics in other processes: a reader publishes how far it is in each open slice, when that
// changed, at most once an interval.
//
// Two may read a partition for a while, and both publish under its key: who is behind says nothing, and who sees that
// what stands there is behind, or of another slice, says it again. Else rows that one of them has read would wait for
// the next record. Of a partition that it cannot read a reader says where the journal ends, and leaves the rest as it
// stands: others know that something waits, and how much.
import { WireError, type Clock, type Logger } from "@millrace/base";
import type { CoordinationStore, StoreOp } from "@millrace/metadata";
import type { Progress, ProgressFeed } from "./reader-progress.ts";
import { encodeJson } from "./storage-codec.ts";
import type { PartitionKey } from "./storage-entities.ts";
import { progressKey } from "./storage-keys.ts";
import type { StorageStore } from "./storage-store.ts";
import { progressOf, type PartitionView, type StorageView } from "./storage-view.ts";

export interface PublisherPorts {
  readonly store: CoordinationStore;
  readonly storage: Pick<StorageStore, "view" | "observe">;
  readonly feed: ReaderFeed;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A reader as its publisher sees it. */
export interface ReaderFeed extends ProgressFeed {
  onProgress(listener: (sinkPath: string) => void): () => void;
  /** Write head of a partition that cannot be read now, as far as it is known. */
  unreadHead(key: PartitionKey): number | undefined;
}

/** Operations of one transaction: below the bound of D26. */
const PUTS_PER_TXN = 100;

/** What readers of other processes have published. Every published offset was sealed by its reader. */
export function publishedFeed(view: StorageView): ProgressFeed {
  const progress = (key: PartitionKey): Progress | undefined => {
    const partition = view.partition(key);
    return partition === undefined ? undefined : progressOf(partition);
  };
  return { progress, seal: progress };
}

/**
 * Publishes until `signal` aborts.
 * @param intervalMs between two looks at what changed
 * @param spacingMs of a sink from one publication to the next, at least
 */
export async function publishProgress(
  ports: PublisherPorts,
  { intervalMs, spacingMs }: { readonly intervalMs: number; readonly spacingMs: (path: string) => number },
  signal: AbortSignal,
): Promise<void> {
  const { clock, feed, logger } = ports;
  const { view } = ports.storage;
  const dirty = new Set<string>();
  const published = new Map<string, Publication>();
  /** Monotonic, of each sink's last publication. */
  const publishedMs = new Map<string, number>();
  const isDue = (path: string): boolean =>
    clock.monotonicMs() - (publishedMs.get(path) ?? Number.NEGATIVE_INFINITY) >= spacingMs(path);
  let cancel: (() => void) | undefined;
  let running: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    const paths = [...dirty].filter(isDue);
    for (const path of paths) {
      dirty.delete(path);
      if (view.sinks.has(path)) publishedMs.set(path, clock.monotonicMs());
      else publishedMs.delete(path);
    }
    if (dirty.size > 0) arm();
    const puts = paths.flatMap((path) => putsOf(view, feed, path, published));
    try {
      for (let at = 0; at < puts.length; at += PUTS_PER_TXN) {
        await ports.store.txn({ compare: [], success: puts.slice(at, at + PUTS_PER_TXN) }, signal);
      }
    } catch (thrown) {
      if (signal.aborted) return;
      logger.warn("progress-not-published", { error: WireError.from(thrown) });
      for (const path of paths) {
        published.clear();
        onProgress(path);
      }
    }
  };
  const arm = (): void => {
    cancel ??= clock.after(intervalMs, () => {
      cancel = undefined;
      running = running.then(flush);
    });
  };
  const onProgress = (path: string): void => {
    dirty.add(path);
    arm();
  };
  const onStored = (paths: Iterable<string>): void => {
    for (const path of paths) if (unsaid(view, feed, path, published).length > 0) onProgress(path);
  };
  const stops = [feed.onProgress(onProgress), ports.storage.observe(onStored)];
  for (const path of view.sinks.keys()) onProgress(path);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  for (const stop of stops) stop();
  cancel?.();
  await running;
}

/** What was published, and what stood there then. */
interface Publication {
  readonly said: string;
  readonly over: string;
}

function putsOf(
  view: StorageView,
  feed: ReaderFeed,
  path: string,
  published: Map<string, Publication>,
): StoreOp[] {
  return unsaid(view, feed, path, published).flatMap(({ partition, journal, over, unread }) => {
    const progress = unread ?? feed.seal(partition);
    if (progress === undefined) return [];
    const key = progressKey(partition);
    if (unread === undefined) published.set(key, { said: textOf(progress), over });
    return [{ kind: "put", key, value: encodeJson({ ...partition, journal, ...progress }) }];
  });
}

interface Unsaid {
  readonly partition: PartitionKey;
  readonly journal: string;
  /** What stands there. */
  readonly over: string;
  /** In the place of what the reader has read. */
  readonly unread?: Progress;
}

/** Partitions of a sink of which others do not know how far this reader is. */
function unsaid(
  view: StorageView,
  feed: ReaderFeed,
  path: string,
  published: ReadonlyMap<string, Publication>,
): readonly Unsaid[] {
  const sink = view.sinks.get(path);
  if (sink === undefined) return [];
  return [...sink.partitions.values()].flatMap((view) => {
    const { n, entity } = view;
    if (entity?.value.state !== "active") return [];
    const { journal } = entity.value;
    const shown = progressOf(view);
    const partition = { ...sink.key, n };
    const own = feed.progress(partition);
    const over = textOf(shown);
    if (own === undefined) {
      const unread = withHead(view, feed.unreadHead(partition));
      return unread === undefined ? [] : [{ partition, journal, over, unread }];
    }
    if (!saysMore(own, shown)) return [];
    const last = published.get(progressKey(partition));
    // It is on its way.
    return last?.said === textOf(own) && last.over === over ? [] : [{ partition, journal, over }];
  });
}

/** What stands there with the head of a journal that ends later; undefined: it does not. */
function withHead(view: PartitionView, head: number | undefined): Progress | undefined {
  const begin = head === undefined ? undefined : view.slices.at(-1)?.value.begin;
  const shown = progressOf(view);
  if (head === undefined || begin === undefined || head <= Math.max(begin, shown?.writeHead ?? 0))
    return undefined;
  if (shown?.begin === begin) return { ...shown, writeHead: head };
  return { begin, offset: begin, writeHead: head, records: 0, bytes: 0, firstMs: 0, lastMs: 0, full: false };
}

function saysMore(own: Progress, shown: Progress | undefined): boolean {
  if (shown?.begin !== own.begin) return true;
  return own.offset > shown.offset || (own.offset === shown.offset && own.full && !shown.full);
}

function textOf(progress: Progress | undefined): string {
  return progress === undefined ? "" : `${progress.begin} ${progress.offset} ${progress.full}`;
}
