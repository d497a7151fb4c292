// For coordinators and statistics in other processes: a reader publishes how far it is in each open slice, when that
// changed, at most once an interval.
import { WireError, type Clock, type Logger } from "@millrace/base";
import type { CoordinationStore, StoreOp } from "@millrace/metadata";
import type { Progress, ProgressFeed } from "./reader-progress.ts";
import { encodeJson } from "./storage-codec.ts";
import type { PartitionKey } from "./storage-entities.ts";
import { progressKey } from "./storage-keys.ts";
import type { StorageView } from "./storage-view.ts";

export interface PublisherPorts {
  readonly store: CoordinationStore;
  readonly view: StorageView;
  readonly feed: ProgressFeed & { onProgress(listener: (sinkPath: string) => void): () => void };
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Operations of one transaction: below the bound of D26. */
const PUTS_PER_TXN = 100;

/** What readers of other processes have published. Every published offset was sealed by its reader. */
export function publishedFeed(view: StorageView): ProgressFeed {
  const progress = (key: PartitionKey): Progress | undefined => view.partition(key)?.progress;
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
  const { clock, feed, view, logger } = ports;
  const dirty = new Set<string>();
  const published = new Map<string, string>();
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
  const stop = feed.onProgress(onProgress);
  for (const path of view.sinks.keys()) onProgress(path);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  stop();
  cancel?.();
  await running;
}

function putsOf(
  view: StorageView,
  feed: ProgressFeed,
  path: string,
  published: Map<string, string>,
): StoreOp[] {
  const sink = view.sinks.get(path);
  if (sink === undefined) return [];
  const puts: StoreOp[] = [];
  for (const { n, entity } of sink.partitions.values()) {
    if (entity?.value.state !== "active") continue;
    const partition = { ...sink.key, n };
    const progress = feed.seal(partition);
    if (progress === undefined) continue;
    const key = progressKey(partition);
    const shown = `${progress.begin} ${progress.offset} ${progress.full}`;
    if (published.get(key) === shown) continue;
    published.set(key, shown);
    puts.push({ kind: "put", key, value: encodeJson({ ...partition, ...progress }) });
  }
  return puts;
}
