// Which fragment is persisted next: without clock or effects.
// Q1 A fragment stays until it was persisted or its journal was removed; failures only put it off.
// Q2 At most `tasksMax` run at once, of at most `bytesMax` together; a larger one runs alone.
// Q3 Those due earliest run first, so that a failing store's fragments do not hold up another's.

export interface QueueLimits {
  readonly tasksMax: number;
  readonly bytesMax: number;
}

export interface QueuedTask {
  readonly key: string;
  readonly bytes: number;
  /** When it was first offered, monotonic ms: the age of the backlog. */
  readonly sinceMs: number;
  readonly dueMs: number;
  readonly failures: number;
}

/** Least and greatest wait after a failure. The first attempt waits for nothing. */
const BACKOFF_MS = { min: 250, max: 60_000 } as const;

/**
 * Wait after the `failures`-th failure in a row, >= 1: doubling, and between half and all of it.
 * @param u32 a random integer in [0, 2^32)
 */
export function backoffMs(failures: number, u32: number): number {
  const whole = Math.min(BACKOFF_MS.max, BACKOFF_MS.min * 2 ** Math.min(failures - 1, 30));
  return Math.floor(whole / 2 + (whole / 2) * (u32 / 2 ** 32));
}

export class PersistQueue {
  readonly #limits: QueueLimits;
  readonly #waiting = new Map<string, QueuedTask>();
  readonly #running = new Map<string, QueuedTask>();
  /** A binary heap of what waits, by dueMs. Holds stale tasks too: those that #waiting does not hold any more. */
  #heap: QueuedTask[] = [];
  #runningBytes = 0;
  #waitingBytes = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#waiting.size + this.#running.size;
  }

  get bytes(): number {
    return this.#waitingBytes + this.#runningBytes;
  }

  /** When the oldest was offered, or undefined when there is none. Looks at all of them. */
  get oldestSinceMs(): number | undefined {
    let oldest: number | undefined;
    for (const tasks of [this.#waiting, this.#running]) {
      for (const { sinceMs } of tasks.values())
        if (oldest === undefined || sinceMs < oldest) oldest = sinceMs;
    }
    return oldest;
  }

  /** When the next one that waits is due, or undefined. */
  get nextDueMs(): number | undefined {
    return this.#first()?.dueMs;
  }

  has(key: string): boolean {
    return this.#waiting.has(key) || this.#running.has(key);
  }

  offer(task: QueuedTask): void {
    if (!this.has(task.key)) this.#wait(task);
  }

  /** Takes the next one that may run at `nowMs`. */
  take(nowMs: number): QueuedTask | undefined {
    const next = this.#first();
    if (next === undefined || next.dueMs > nowMs || this.#running.size >= this.#limits.tasksMax)
      return undefined;
    if (this.#running.size > 0 && this.#runningBytes + next.bytes > this.#limits.bytesMax) return undefined;
    this.#waiting.delete(next.key);
    this.#waitingBytes -= next.bytes;
    this.#running.set(next.key, next);
    this.#runningBytes += next.bytes;
    return next;
  }

  /** A running one was persisted or dropped. */
  finish(key: string): void {
    const task = this.#running.get(key);
    if (task === undefined) return;
    this.#running.delete(key);
    this.#runningBytes -= task.bytes;
  }

  /** A running one failed: it is due again at `dueMs`. */
  fail(key: string, dueMs: number): void {
    const task = this.#running.get(key);
    if (task === undefined) return;
    this.finish(key);
    this.#wait({ ...task, dueMs, failures: task.failures + 1 });
  }

  /** Makes all that wait due at `nowMs` at the latest. */
  hurry(nowMs: number): void {
    this.#heap = [];
    const waiting = [...this.#waiting.values()];
    this.#waitingBytes = 0;
    for (const task of waiting) this.#wait({ ...task, dueMs: Math.min(task.dueMs, nowMs) });
  }

  #wait(task: QueuedTask): void {
    this.#waiting.set(task.key, task);
    this.#waitingBytes += task.bytes;
    const heap = this.#heap;
    let at = heap.length;
    heap.push(task);
    for (let up = (at - 1) >> 1; at > 0 && task.dueMs < heap[up]!.dueMs; at = up, up = (at - 1) >> 1) {
      heap[at] = heap[up]!;
    }
    heap[at] = task;
  }

  /** The one that is due first, without taking it. */
  #first(): QueuedTask | undefined {
    for (;;) {
      const task = this.#heap[0];
      if (task === undefined || this.#waiting.get(task.key) === task) return task;
      this.#pop();
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && heap[child + 1]!.dueMs < heap[child]!.dueMs) child++;
      if (last.dueMs <= heap[child]!.dueMs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
