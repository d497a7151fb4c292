// Asynchronous appends: batched per journal, ordered, with dependencies across journals (specification section 10).
//
// A1 Appends of one journal happen in the order of their calls; at most one batch of a journal is under way.
// A2 All appends of a batch share one atomic append: they see one commit that covers them all.
// A3 A batch begins only when everything that its appends depend on has committed; one that fails fails it, and with it
//    all later appends of its journal, since they might depend on it in turn.
// A4 An attempt whose outcome is unknown is repeated: at least once. Who needs exactly once frames its appends.
import { Gate, TaskGroup, waitUntil, WireError, type Clock, type Code, type Logger } from "@millrace/base";
import { appendOnce, type AppendOptions, type Commit } from "./append.ts";
import { AppendRetries } from "./append-retries.ts";
import type { JournalTransport } from "./transport.ts";

/** Bytes of one batch: enough to make the cost of a commit small, little enough to keep memory bounded. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** Bytes waiting in all journals before {@link AppendService.append} refuses. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** One object, since appends share a batch only when their options are the same object. */
const NO_OPTIONS: AppendOptions = {};

/** An append under way. `done` is also safe to ignore: a failure is kept for the journal's later appends. */
export interface AsyncAppend {
  readonly journal: string;
  readonly done: Promise<Commit>;
}

interface Batch {
  readonly parts: Uint8Array[];
  readonly options: AppendOptions;
  readonly dependencies: Set<AsyncAppend>;
  bytes: number;
  readonly append: AsyncAppend;
  readonly resolve: (commit: Commit) => void;
  readonly reject: (error: WireError) => void;
}

interface JournalQueue {
  readonly batches: Batch[];
  running: boolean;
  /** The failure that ended this journal's appends. */
  failure: WireError | undefined;
}

/** Errors that another attempt cannot mend. */
const TERMINAL: ReadonlySet<Code> = new Set<Code>([
  "INVALID_ARGUMENT",
  "UNAUTHENTICATED",
  "FORBIDDEN",
  "FRAGMENT_STORE_UNHEALTHY",
  "INDEX_HAS_GREATER_OFFSET",
  "JOURNAL_NOT_FOUND",
  "NOT_ALLOWED",
  "REGISTER_MISMATCH",
  "TOO_LARGE",
  "WRONG_APPEND_OFFSET",
]);

export class AppendService {
  readonly #transport: JournalTransport;
  readonly #clock: Clock;
  readonly #tasks: TaskGroup;
  readonly #logger: Logger;
  readonly #queues = new Map<string, JournalQueue>();
  readonly #room = new Gate();
  #pendingBytes = 0;

  constructor(ports: { transport: JournalTransport; clock: Clock; logger: Logger }) {
    this.#transport = ports.transport;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    this.#tasks = new TaskGroup("append service", (task, error) =>
      this.#logger.error("append-task-failed", { task, error }),
    );
  }

  /**
   * Queues `content` for `journal` and returns at once.
   * @param options appends with the same object of options may share a batch
   * @param content must not change until `done` settles
   * @param dependencies appends that must commit first
   * @throws {WireError} OVERLOADED when 64 MiB wait (see {@link room}), or the failure that ended the journal's appends
   */
  append(
    journal: string,
    content: readonly Uint8Array[],
    options: AppendOptions = NO_OPTIONS,
    dependencies: readonly AsyncAppend[] = [],
  ): AsyncAppend {
    const queue = this.#queueOf(journal);
    if (queue.failure !== undefined) throw queue.failure;
    const bytes = content.reduce((sum, part) => sum + part.length, 0);
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
      const facts = { pendingBytes: this.#pendingBytes, bytes };
      throw new WireError("OVERLOADED", `appends of ${MAX_PENDING_BYTES} bytes are waiting`, { facts });
    }
    this.#pendingBytes += bytes;
    const batch = this.#batchFor(journal, queue, bytes, options, dependencies);
    batch.parts.push(...content);
    batch.bytes += bytes;
    if (!queue.running) this.#run(journal, queue);
    return batch.append;
  }

  /** Resolves when an append of `bytes` bytes would be taken. */
  room(bytes: number, signal: AbortSignal): Promise<void> {
    return waitUntil(
      this.#room,
      () => this.#pendingBytes === 0 || this.#pendingBytes + bytes <= MAX_PENDING_BYTES,
      signal,
    );
  }

  /** Newest append of every journal but `journal` that has not committed: what a write barrier must wait for. */
  pendingExcept(journal: string): readonly AsyncAppend[] {
    const pending: AsyncAppend[] = [];
    for (const [name, queue] of this.#queues) {
      const newest = queue.batches.at(-1);
      if (name !== journal && newest !== undefined) pending.push(newest.append);
    }
    return pending;
  }

  /** Aborts what is under way (its outcome is unknown) and waits for it. */
  async close(): Promise<void> {
    await this.#tasks.close();
  }

  #queueOf(journal: string): JournalQueue {
    let queue = this.#queues.get(journal);
    if (queue === undefined) {
      queue = { batches: [], running: false, failure: undefined };
      this.#queues.set(journal, queue);
    }
    return queue;
  }

  /** The last waiting batch when `options` and dependencies allow it, else a new one. The first may be under way. */
  #batchFor(
    journal: string,
    queue: JournalQueue,
    bytes: number,
    options: AppendOptions,
    dependencies: readonly AsyncAppend[],
  ): Batch {
    const last = queue.batches.length > (queue.running ? 1 : 0) ? queue.batches.at(-1) : undefined;
    const joins =
      last !== undefined &&
      last.bytes + bytes <= MAX_BATCH_BYTES &&
      last.options === options &&
      dependencies.every((dependency) => last.dependencies.has(dependency));
    if (joins) return last;
    const batch = newBatch(journal, options, dependencies);
    queue.batches.push(batch);
    return batch;
  }

  #run(journal: string, queue: JournalQueue): void {
    queue.running = true;
    this.#tasks.spawn(journal, async (signal) => {
      try {
        for (let batch = queue.batches[0]; batch !== undefined; batch = queue.batches[0]) {
          const commit = await this.#send(journal, batch, signal);
          queue.batches.shift();
          this.#release(batch);
          batch.resolve(commit);
        }
      } catch (thrown) {
        this.#fail(journal, queue, signal.aborted ? closing() : WireError.from(thrown));
      } finally {
        queue.running = false;
        if (queue.failure === undefined && queue.batches.length === 0) this.#queues.delete(journal);
      }
    });
  }

  async #send(journal: string, batch: Batch, signal: AbortSignal): Promise<Commit> {
    for (const dependency of batch.dependencies) await dependency.done;
    const retries = new AppendRetries({ clock: this.#clock, logger: this.#logger }, journal);
    const { patienceMs = Number.POSITIVE_INFINITY } = batch.options;
    for (;;) {
      try {
        const content = { kind: "bytes", bytes: batch.parts } as const;
        return await appendOnce(this.#transport, journal, content, batch.options, signal);
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        const error = WireError.from(thrown);
        // A failed check may be the trace of our own earlier attempt, or of a writer that is about to be fenced.
        const waitsForRegisters = batch.options.checkRegisters !== undefined;
        if (TERMINAL.has(error.code) && !waitsForRegisters) throw error;
        await retries.next(error, patienceMs, signal);
      }
    }
  }

  #fail(journal: string, queue: JournalQueue, error: WireError): void {
    queue.failure = error;
    this.#logger.warn("append-failed", { journal, code: error.code, message: error.message });
    for (const batch of queue.batches.splice(0)) {
      this.#release(batch);
      batch.reject(error);
    }
  }

  #release(batch: Batch): void {
    this.#pendingBytes -= batch.bytes;
    this.#room.open();
  }
}

function newBatch(journal: string, options: AppendOptions, dependencies: readonly AsyncAppend[]): Batch {
  let resolve!: (commit: Commit) => void;
  let reject!: (error: WireError) => void;
  const done = new Promise<Commit>((onCommit, onFailure) => {
    resolve = onCommit;
    reject = onFailure;
  });
  done.catch(() => undefined);
  const append: AsyncAppend = { journal, done };
  return { parts: [], options, dependencies: new Set(dependencies), bytes: 0, append, resolve, reject };
}

function closing(): WireError {
  return new WireError("SHUTTING_DOWN", "the append service is closing");
}
