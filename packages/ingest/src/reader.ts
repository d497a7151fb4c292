// The storage-reader: a tail for each active partition (reader-tail.ts), within one bound of memory.
import { TaskGroup, WireError, type Clock, type Logger, type Random } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import type { ObjectStore } from "@millrace/stores";
import { BytePool } from "./byte-pool.ts";
import { sinkPath } from "./definitions.ts";
import { LostBytes, type PartitionIntegrity } from "./partition-integrity.ts";
import { KeyMemory } from "./partition-keys.ts";
import { HeldBytes } from "./reader-held.ts";
import type { Progress, ProgressFeed } from "./reader-progress.ts";
import { PartitionTail, type TailPorts } from "./reader-tail.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import type { PartitionKey } from "./storage-entities.ts";
import { HELD_BYTES_MAX, KEY_BYTES_MAX, POOL_KEPT_BYTES_MAX, SLICE_BYTES_MAX } from "./storage-limits.ts";
import type { StorageMetrics } from "./storage-metrics.ts";
import { isPassing, type StorageStore } from "./storage-store.ts";
import type { WorkOwner } from "./work-owner.ts";

export interface ReaderPorts {
  readonly storage: StorageStore;
  readonly transport: JournalTransport;
  readonly stagingStore: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
  readonly integrity: PartitionIntegrity;
  readonly catalog: SinkCatalog;
  /** Of partitions, by their journals. */
  readonly share: WorkOwner;
}

export interface ReaderOptions {
  /** Default 16 MiB. */
  readonly sliceBytesMax?: number;
  /** Default 128 MiB. */
  readonly heldBytesMax?: number;
  /** Default 256 MiB. */
  readonly keyBytesMax?: number;
}

/** What a reader knows of a partition, for people. */
export interface TailStatus {
  readonly journal: string;
  readonly offset: number;
  readonly writeHead: number;
  /** Why it is not being read, until it is again. */
  readonly problem: ReadingProblem | undefined;
}

/** Why a partition cannot be read. */
export interface ReadingProblem {
  readonly reason: string;
  /** It has lost acknowledged bytes: it takes no records either. */
  readonly isLost: boolean;
  /** Only a person can mend it, or it is tried again after a long time. */
  readonly isLasting: boolean;
}

/** First and longest wait before a tail that failed starts again, doubled in between. */
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 30_000;

/** A tail that has not failed for so long reads again. */
const RECOVERED_MS = 1000;

/** A wait that is worth no waiting for. */
const LONG_WAIT_MS = 2000;

/** Before a tail starts again that has to read from another offset. */
const REALIGN_WAIT_MS = 20;

interface Running {
  readonly tail: PartitionTail;
  readonly stop: AbortController;
  problem: ReadingProblem | undefined;
}

export class StorageReader implements ProgressFeed {
  readonly #ports: ReaderPorts;
  readonly #held: HeldBytes;
  readonly #tailPorts: TailPorts;
  /** By sinkPath and partition. */
  readonly #running = new Map<string, Map<number, Running>>();
  readonly #progressListeners = new Set<(sinkPath: string) => void>();

  constructor(ports: ReaderPorts, options: ReaderOptions) {
    this.#ports = ports;
    this.#held = new HeldBytes(options.heldBytesMax ?? HELD_BYTES_MAX, () => {
      for (const { tail } of this.#all()) tail.wake();
    });
    const { random, ...rest } = ports;
    const chance = random.fork("storage-reader");
    this.#tailPorts = {
      ...rest,
      held: this.#held,
      memory: new KeyMemory(options.keyBytesMax ?? KEY_BYTES_MAX, ports.metrics),
      pool: new BytePool(POOL_KEPT_BYTES_MAX),
      spread: () => chance.below(1000) / 1000,
      sliceBytesMax: options.sliceBytesMax ?? SLICE_BYTES_MAX,
      onProgress: (path) => {
        for (const listener of this.#progressListeners) listener(path);
      },
    };
  }

  /** Calls `listener` with the path of a sink of which more was read. @returns a function that ends it */
  onProgress(listener: (sinkPath: string) => void): () => void {
    this.#progressListeners.add(listener);
    return () => this.#progressListeners.delete(listener);
  }

  progress(key: PartitionKey): Progress | undefined {
    return this.#at(key)?.tail.progress();
  }

  seal(key: PartitionKey): Progress | undefined {
    return this.#at(key)?.tail.seal();
  }

  status(key: PartitionKey): TailStatus | undefined {
    const running = this.#at(key);
    if (running === undefined) return undefined;
    const { journal, offset, writeHead } = running.tail;
    return { journal, offset, writeHead, problem: running.problem };
  }

  /** Write head of a partition that cannot be read now, as far as it is known. */
  unreadHead(key: PartitionKey): number | undefined {
    const running = this.#at(key);
    return running?.problem === undefined ? undefined : running.tail.writeHead;
  }

  /** What stands against reading, by partition. */
  problems(): readonly {
    readonly key: PartitionKey;
    readonly journal: string;
    readonly problem: ReadingProblem;
  }[] {
    return [...this.#all()].flatMap(({ tail, problem }) =>
      problem === undefined ? [] : [{ key: tail.key, journal: tail.journal, problem }],
    );
  }

  /** Works until `signal` aborts. Call once. @throws the first failure that is a bug */
  async run(signal: AbortSignal): Promise<void> {
    let fail: (error: unknown) => void = () => {};
    const failure = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const tasks = new TaskGroup("storage-reader", (_task, error) => fail(error));
    const { storage, share } = this.#ports;
    const onAll = (): void => {
      for (const path of storage.view.sinks.keys()) this.#onSink(path, tasks);
    };
    const unobserve = [
      storage.observe((paths) => {
        for (const path of paths) this.#onSink(path, tasks);
      }),
      share.observe(onAll),
    ];
    onAll();
    try {
      await Promise.race([failure, aborted(signal)]);
    } finally {
      for (const stop of unobserve) stop();
      await tasks.close();
      this.#running.clear();
    }
  }

  /** Starts and stops tails as partitions come and go, and wakes those whose slices may have changed. */
  #onSink(path: string, tasks: TaskGroup): void {
    const sink = this.#ports.storage.view.sinks.get(path);
    const tails = this.#running.get(path);
    for (const [n, running] of tails ?? []) {
      const partition = sink?.partitions.get(n)?.entity?.value;
      const isThere = partition?.state === "active" && partition.journal === running.tail.journal;
      if (!isThere) running.stop.abort(new Error("the partition is retired or gone"));
      else if (this.#ports.share.owns(running.tail.journal)) running.tail.wake();
      else running.stop.abort(new Error("another process reads the partition"));
    }
    for (const { n, entity } of sink?.partitions.values() ?? []) {
      if (entity?.value.state !== "active" || tails?.has(n) === true) continue;
      if (!this.#ports.share.owns(entity.value.journal)) continue;
      this.#start({ ...sink!.key, n }, entity.value.journal, tasks);
    }
  }

  #start(key: PartitionKey, journal: string, tasks: TaskGroup): void {
    const tail = new PartitionTail(key, journal, this.#tailPorts);
    const running: Running = { tail, stop: new AbortController(), problem: undefined };
    const path = sinkPath(key);
    const tails = this.#running.get(path) ?? new Map<number, Running>();
    this.#running.set(path, tails.set(key.n, running));
    tasks.spawn(journal, async (signal) => {
      try {
        await this.#keepRunning(running, signal);
      } finally {
        tails.delete(key.n);
        this.#note(running, undefined);
        if (tails.size === 0) this.#running.delete(path);
      }
      if (!signal.aborted) this.#onSink(path, tasks); // it may be active again
    });
  }

  #at(key: PartitionKey): Running | undefined {
    return this.#running.get(sinkPath(key))?.get(key.n);
  }

  *#all(): Iterable<Running> {
    for (const tails of this.#running.values()) yield* tails.values();
  }

  async #keepRunning(running: Running, signal: AbortSignal): Promise<void> {
    const { tail, stop } = running;
    const onAbort = (): void => stop.abort(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (let failures = 0; !stop.signal.aborted;) {
        const before = tail.reached;
        const recovered =
          running.problem === undefined
            ? () => undefined
            : this.#ports.clock.after(RECOVERED_MS, () => this.#note(running, undefined));
        try {
          await tail.run(stop.signal);
          if (!stop.signal.aborted) await this.#ports.clock.sleep(REALIGN_WAIT_MS, stop.signal);
        } catch (thrown) {
          recovered();
          if (stop.signal.aborted) break;
          if (tail.reached > before) failures = 0;
          await this.#onFailure(running, WireError.from(thrown), failures++, stop.signal);
        } finally {
          recovered();
        }
      }
    } catch (thrown) {
      if (!stop.signal.aborted) throw thrown;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #onFailure(running: Running, error: WireError, failures: number, signal: AbortSignal): Promise<void> {
    const waitMs = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** Math.min(failures, 12));
    const isLasting = error.retry === "never" || waitMs > LONG_WAIT_MS;
    this.#note(running, { reason: error.message, isLost: error instanceof LostBytes, isLasting });
    this.#ports.metrics.failures.add(1, { operation: "read", code: error.code });
    this.#ports.integrity.askAgain(running.tail.journal);
    const log = isPassing(error) ? "warn" : "error";
    this.#ports.logger[log]("partition-read-failed", { journal: running.tail.journal, error, waitMs });
    await this.#ports.clock.sleep(waitMs, signal);
  }

  /** Whoever waits for the partition, or shows it, is told of the change. */
  #note(running: Running, problem: ReadingProblem | undefined): void {
    if (running.problem === undefined && problem === undefined) return;
    running.problem = problem;
    const problems = [...this.#all()].flatMap((one) => one.problem ?? []);
    this.#ports.metrics.unreadablePartitions.set(problems.length);
    this.#ports.metrics.lostPartitions.set(problems.filter(({ isLost }) => isLost).length);
    this.#tailPorts.onProgress(sinkPath(running.tail.key));
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
