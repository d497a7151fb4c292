// All publishers of a process: of partitions, and of dead-letter journals. A sink's records of one turn go to one of
// its partitions; the next turn takes the next one, so that frames stay large however many partitions there are.
import { TaskGroup, type Clock, type Logger, type Metrics, type Random } from "@millrace/base";
import { deadLetterJournal, partitionJournal, type SinkDefinition, type SinkLife } from "./definitions.ts";
import type { DoorLimits } from "./limits.ts";
import { BufferPool } from "./publisher-frame.ts";
import { publisherMetrics } from "./publisher-metrics.ts";
import type { Turns } from "./publisher-turns.ts";
import {
  PartitionPublisher,
  QueueBudget,
  type FramePort,
  type OnAppended,
  type PartitionPort,
  type PublisherPorts,
} from "./publisher.ts";

export interface DispatcherPorts {
  readonly frames: FramePort;
  readonly partitions: PartitionPort;
  readonly deadLetters: DeadLetterPort;
  /** Of partitions alone. */
  readonly onAppended: OnAppended;
  /** The same of dead-letter journals. */
  readonly onLetters: OnAppended;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Who makes sure that a sink's dead-letter journal is there (D26). */
export interface DeadLetterPort {
  /** @returns the journal @throws as {@link PartitionPort} */
  ensure(sink: SinkLife, signal: AbortSignal): Promise<string>;
  /** What is appended to the journal now stands behind it (C1 of checked-append.ts). Absent: nothing is known. */
  knownEnd?(sink: SinkLife): number;
  /** The journal ended there after an append of this process. */
  onAppended?(sink: SinkLife, end: number): void;
  /** The journal may have gone back: `ensure` says whether its letters are lost. */
  forget?(sink: SinkLife): void;
}

/** Dead-letter journals as what frames are appended to. */
export function letterPlaces(deadLetters: DeadLetterPort): PartitionPort {
  return {
    ensure: (sink, _n, signal) => deadLetters.ensure(sink, signal),
    knownEnd: (sink) => deadLetters.knownEnd?.(sink) ?? 0,
    forget: (sink) => deadLetters.forget?.(sink),
  };
}

export interface DispatcherOptions {
  readonly limits: Pick<DoorLimits, "queuedBytesMax" | "partitionQueuedBytesMax">;
  /** Frames of a partition that may be under way at the same time. */
  readonly lanes: number;
}

const BUFFERS_KEPT_MAX = 32;
const BUFFER_KEPT_BYTES_MAX = 4 * 1024 * 1024;

export class Dispatcher {
  readonly #ports: PublisherPorts;
  /** Of dead-letter journals. */
  readonly #letterPorts: PublisherPorts;
  readonly #lanes: number;
  /** By journal: one for each life of a sink. */
  readonly #publishers = new Map<string, PartitionPublisher>();
  readonly #tasks: TaskGroup;
  #isClosing = false;

  /** @param onFatal called with a failure that is a bug: nothing may be acknowledged any more */
  constructor(ports: DispatcherPorts, options: DispatcherOptions, onFatal: (error: unknown) => void) {
    const metrics = publisherMetrics(ports.metrics);
    const budget = new QueueBudget(options.limits);
    const buffers = new BufferPool(BUFFERS_KEPT_MAX, BUFFER_KEPT_BYTES_MAX);
    const { onAppended, onLetters, ...shared } = ports;
    this.#ports = { ...shared, onAppended, budget, buffers, metrics: metrics.partitions };
    this.#letterPorts = {
      ...shared,
      onAppended: (place, journal, end) => {
        ports.deadLetters.onAppended?.(place, end);
        onLetters(place, journal, end);
      },
      budget,
      buffers,
      partitions: letterPlaces(ports.deadLetters),
      metrics: metrics.letters,
    };
    this.#lanes = options.lanes;
    this.#tasks = new TaskGroup("dispatcher", (_task, error) => onFatal(error));
  }

  /** The publisher that the next record of `sink` goes to; the same one until `advance`. */
  publisher(sink: SinkDefinition, n: number): PartitionPublisher {
    return this.#named(partitionJournal(sink, n), () => {
      return new PartitionPublisher(this.#ports, { key: sink, n }, this.#lanes, this.#tasks);
    });
  }

  /** The publisher that the dead letters of `sink` go to. */
  letters(sink: SinkDefinition): PartitionPublisher {
    const name = deadLetterJournal(sink);
    return this.#named(name, () => {
      return new PartitionPublisher(this.#letterPorts, { key: sink, n: 0, name }, 1, this.#tasks);
    });
  }

  #named(name: string, make: () => PartitionPublisher): PartitionPublisher {
    let publisher = this.#publishers.get(name);
    if (publisher === undefined) {
      publisher = make();
      this.#publishers.set(name, publisher);
      if (this.#isClosing) void publisher.drain();
    }
    return publisher;
  }

  /** Bytes of rows that are sealed and not settled. */
  get queuedBytes(): number {
    return this.#ports.budget.bytes;
  }

  /** Forgets publishers that `isWanted` does not name and that have nothing to do. */
  prune(isWanted: (name: string) => boolean): void {
    for (const [name, publisher] of this.#publishers) {
      if (publisher.isIdle && !isWanted(name)) this.#publishers.delete(name);
    }
  }

  /** Takes no more rows; resolves when all are settled, or when `signal` aborts: what then remains has failed. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#isClosing = true;
    const drained = Promise.all([...this.#publishers.values()].map((publisher) => publisher.drain()));
    await untilAborted(drained, signal);
    await this.#tasks.close();
  }
}

/** Resolves with `work`, or once `signal` aborts. */
function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve();
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(() => resolve(), reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
