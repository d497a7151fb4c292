// Tasks of the configuration API (specification 1.13): small work that runs apart from the request that asked for it,
// with a record that outlives the process.
//
//   processing ──> success
//        └───────> error          T1 A record is written before the work starts, and again when it has ended.
//                                 T2 A task whose process died shows as failed once its lock is gone.
//                                 T3 One task at a time works on an object (task-lock.ts), for five minutes at most.
import {
  abortScope,
  text,
  WireError,
  utf8,
  type Clock,
  type Gauge,
  type Histogram,
  type Logger,
  type Metrics,
  type Random,
  TaskGroup,
} from "@millrace/base";
import { JsonFields, parseJson } from "@millrace/ingest";
import { keyOf, prefixRange, type CoordinationStore, type StoreOp } from "@millrace/metadata";
import { lockKey, takeLock, type TaskLock } from "./task-lock.ts";

export type TaskType =
  | `api.${"create" | "update" | "delete" | "undelete" | "enable" | "disable"}.${"source" | "sink"}`
  | `api.update.${"source" | "sink"}Settings`
  | `api.rollback.${"source" | "sink"}Version`
  | "api.replay.deadLetters";

export interface TaskOutputs {
  readonly url?: string;
  readonly projectId?: number;
  readonly branchId?: number;
  readonly sourceId?: string;
  readonly sinkId?: string;
  /** Of a replay: dead letters that became rows, and those that were refused again. */
  readonly replayed?: number;
  readonly refused?: number;
}

/** The work of a task. `report` shows what it has done so far. */
export type TaskWork = (
  signal: AbortSignal,
  report: (outputs: TaskOutputs) => Promise<void>,
) => Promise<TaskSuccess>;

export interface TaskRecord {
  /** `<type>/<object key without project>/<createdAt>_<5 random>`. */
  readonly taskId: string;
  readonly type: TaskType;
  readonly createdAt: string;
  readonly status: "processing" | "success" | "error";
  readonly finishedAt?: string;
  readonly durationMs?: number;
  readonly result?: string;
  readonly error?: string;
  readonly outputs?: TaskOutputs;
}

/** What the work of a task says when it has succeeded. */
export interface TaskSuccess {
  readonly result: string;
  readonly outputs: TaskOutputs;
}

export interface TaskRequest {
  readonly projectId: number;
  readonly type: TaskType;
  /** Of the object, without the project. */
  readonly objectKey: string;
}

export type StartOutcome =
  | { readonly kind: "started"; readonly record: TaskRecord }
  /** @property by the task that works on the object (T3); undefined when it has just ended */
  | { readonly kind: "locked"; readonly by: string | undefined };

const PREFIX = "stream/task/";
const TIMEOUT_MS = 5 * 60_000;
const TIMED_OUT = "Task timed out.";
const CLEANUP_INTERVAL_MS = 3_600_000;
const SUCCESS_KEPT_MS = 3_600_000;
const OTHERS_KEPT_MS = 48 * 3_600_000;
const RANDOM_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";

export class TaskStore {
  readonly #store: CoordinationStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #running: TaskGroup;
  readonly #runningTasks: Gauge;
  readonly #taskSeconds: Histogram;

  constructor(ports: {
    store: CoordinationStore;
    clock: Clock;
    random: Random;
    logger: Logger;
    metrics: Metrics;
  }) {
    this.#runningTasks = ports.metrics.gauge("millrace_api_running_tasks", "Tasks under way, by type.");
    this.#taskSeconds = ports.metrics.histogram(
      "millrace_api_task_seconds",
      "Duration of tasks that have ended, by type and outcome.",
      [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    );
    this.#store = ports.store;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#logger = ports.logger;
    this.#running = new TaskGroup("tasks", (task, error) =>
      this.#logger.error("task-failed", { task, error }),
    );
  }

  /**
   * Starts `work` and waits for it, `waitMs` at most. @returns the record as it is then
   * @param work what it throws as a WireError is the task's error text
   * @param signal ends the waiting, not the work
   */
  async start(
    request: TaskRequest,
    work: TaskWork,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<StartOutcome> {
    const { projectId, type, objectKey } = request;
    const createdAt = isoTime(this.#clock.wallMs());
    const taskId = `${type}/${objectKey}/${createdAt}_${this.#letters(5)}`;
    const record: TaskRecord = { taskId, type, createdAt, status: "processing" };
    const ports = { store: this.#store, clock: this.#clock, logger: this.#logger };
    const ops = [putOp(projectId, record)]; // T1
    const taken = await takeLock(ports, lockKey(projectId, objectKey), taskId, ops, signal); // T3
    if (taken.kind === "taken") return { kind: "locked", by: taken.by };
    this.#runningTasks.add(1, { type });
    let reported: Pick<TaskRecord, "outputs"> = {};
    const finished = new Promise<TaskRecord>((resolve) => {
      this.#running.spawn(taskId, async (taskSignal) => {
        try {
          const report = (outputs: TaskOutputs): Promise<void> => {
            reported = { outputs };
            return this.#report(projectId, { ...record, outputs }, taskSignal);
          };
          const reporting = (within: AbortSignal): Promise<TaskSuccess> => work(within, report);
          const ended = await this.#perform(record, reporting, taken.lock, taskSignal);
          const done = { ...reported, ...ended };
          this.#taskSeconds.observe((done.durationMs ?? 0) / 1000, { type, outcome: done.status });
          await this.#finish(projectId, done, taskSignal);
          resolve(done);
        } finally {
          this.#runningTasks.add(-1, { type });
          await taken.lock.release();
        }
      });
    });
    return new Promise((resolve) => {
      const cancel = this.#clock.after(waitMs, () => resolve({ kind: "started", record }));
      void finished.then((done) => {
        cancel();
        resolve({ kind: "started", record: done });
      });
    });
  }

  async get(projectId: number, taskId: string, signal: AbortSignal): Promise<TaskRecord | undefined> {
    const key = taskKey(projectId, taskId);
    const lock = lockKey(projectId, objectKeyOf(taskId));
    // Of one revision: a task ends with its record written and then its lock given back.
    const success: StoreOp[] = [
      { kind: "range", key },
      { kind: "range", key: lock },
    ];
    const { results } = await this.#store.txn({ compare: [], success }, signal);
    const [found, holder] = results.map((result) => (result.kind === "range" ? result.kvs[0] : undefined));
    if (found === undefined) return undefined;
    const lockedBy = holder === undefined ? undefined : text(holder.value);
    return this.#seen(decodeTask(found.value, key), lockedBy);
  }

  /** @returns the records that are kept, the newest first, `limit` at most */
  async newest(projectId: number, limit: number, signal: AbortSignal): Promise<readonly TaskRecord[]> {
    const { kvs } = await this.#store.range(prefixRange(`${PREFIX}${projectId}/`), signal);
    const records = kvs.flatMap(({ key, value }) => this.#decoded(value, key) ?? []);
    const byAge = records.sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt)).slice(0, limit);
    return Promise.all(
      byAge.map(async (record) =>
        record.status === "processing"
          ? ((await this.get(projectId, record.taskId, signal)) ?? record)
          : record,
      ),
    );
  }

  /** A record as who holds the lock makes it look. */
  #seen(record: TaskRecord, lockedBy: string | undefined): TaskRecord {
    if (record.status !== "processing") return record;
    const ageMs = this.#clock.wallMs() - Date.parse(record.createdAt);
    if (ageMs >= TIMEOUT_MS) {
      const finishedAt = isoTime(Date.parse(record.createdAt) + TIMEOUT_MS);
      return { ...record, status: "error", error: TIMED_OUT, finishedAt, durationMs: TIMEOUT_MS }; // T2
    }
    if (lockedBy === record.taskId) return record;
    return { ...record, status: "error", error: "Task was interrupted." }; // T2
  }

  /** Removes old records once in an hour until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const removed = await this.cleanUp(signal);
        if (removed > 0) this.#logger.info("tasks-removed", { removed });
        await this.#clock.sleep(CLEANUP_INTERVAL_MS, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        this.#logger.warn("task-clean-up-failed", { error: WireError.from(thrown) });
        await this.#clock.sleep(CLEANUP_INTERVAL_MS, signal).catch(() => undefined);
      }
    }
  }

  /** Success is kept for an hour, everything else for two days. @returns records removed */
  async cleanUp(signal: AbortSignal): Promise<number> {
    const { kvs } = await this.#store.range(prefixRange(PREFIX), signal);
    const nowMs = this.#clock.wallMs();
    let removed = 0;
    for (const { key, value, modRevision } of kvs) {
      const record = this.#decoded(value, key);
      if (record === undefined) continue;
      const keptMs = record.status === "success" ? SUCCESS_KEPT_MS : OTHERS_KEPT_MS;
      if (nowMs - Date.parse(record.finishedAt ?? record.createdAt) < keptMs) continue;
      const compare = [{ target: "mod", key, op: "=", revision: modRevision } as const];
      const { succeeded } = await this.#store.txn({ compare, success: [{ kind: "delete", key }] }, signal);
      if (succeeded) removed++;
    }
    return removed;
  }

  /** Of a record that nobody can read: undefined. It is told and left alone, and so is no other one for its sake. */
  #decoded(value: Uint8Array, key: string): TaskRecord | undefined {
    try {
      return decodeTask(value, key);
    } catch (thrown) {
      this.#logger.warn("task-record-undecodable", { key, error: WireError.from(thrown) });
      return undefined;
    }
  }

  /** Ends what is running; its records stay as they are (T2). */
  close(): Promise<void> {
    return this.#running.close();
  }

  async #perform(
    record: TaskRecord,
    work: (signal: AbortSignal) => Promise<TaskSuccess>,
    lock: TaskLock,
    signal: AbortSignal,
  ): Promise<TaskRecord> {
    const scope = abortScope(signal);
    const onLost = (): void => scope.abort(lock.signal.reason);
    lock.signal.addEventListener("abort", onLost, { once: true });
    const timeout = new WireError("REQUEST_TIMEOUT", TIMED_OUT);
    const cancel = this.#clock.after(TIMEOUT_MS, () => scope.abort(timeout)); // T3
    const outcome = await this.#outcome(record, work, signal, scope.signal).finally(() => {
      cancel();
      lock.signal.removeEventListener("abort", onLost);
      scope.dispose();
    });
    const finishedMs = this.#clock.wallMs();
    // What lies between the record's two times, unless somebody set the clock back.
    const durationMs = Math.max(0, finishedMs - Date.parse(record.createdAt));
    return { ...record, ...outcome, finishedAt: isoTime(finishedMs), durationMs };
  }

  /** @param closing of this process: then nothing is said of the task's end (T2) */
  async #outcome(
    record: TaskRecord,
    work: (signal: AbortSignal) => Promise<TaskSuccess>,
    closing: AbortSignal,
    signal: AbortSignal,
  ): Promise<Pick<TaskRecord, "status" | "result" | "error" | "outputs">> {
    try {
      return { status: "success", ...(await untilAborted(work(signal), signal)) };
    } catch (thrown) {
      if (closing.aborted) throw thrown;
      const error = WireError.from(thrown);
      this.#logger.warn("task-work-failed", { task: record.taskId, error });
      return { status: "error", error: error.code === "INTERNAL" ? "Unknown error" : error.message };
    }
  }

  /** A report that is not written is none. */
  async #report(projectId: number, record: TaskRecord, signal: AbortSignal): Promise<void> {
    try {
      await this.#store.txn({ compare: [], success: [putOp(projectId, record)] }, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      this.#logger.warn("task-report-failed", { task: record.taskId, error: WireError.from(thrown) });
    }
  }

  async #finish(projectId: number, done: TaskRecord, signal: AbortSignal): Promise<void> {
    try {
      await this.#store.txn({ compare: [], success: [putOp(projectId, done)] }, signal);
    } catch (thrown) {
      // The work has ended all the same; its record says so once its lock is gone (T2).
      this.#logger.warn("task-record-failed", { task: done.taskId, error: WireError.from(thrown) });
    }
  }

  #letters(count: number): string {
    let letters = "";
    for (let i = 0; i < count; i++) letters += RANDOM_LETTERS[this.#random.below(RANDOM_LETTERS.length)];
    return letters;
  }
}

function taskKey(projectId: number, taskId: string): string {
  return keyOf(`${PREFIX}${projectId}/${taskId}`);
}

function putOp(projectId: number, record: TaskRecord): StoreOp {
  return { kind: "put", key: taskKey(projectId, record.taskId), value: utf8(JSON.stringify(record)) };
}

/** What lies between the type and the time. */
function objectKeyOf(taskId: string): string {
  return taskId.split("/").slice(1, -1).join("/");
}

/** As `work`, or the signal's reason if that comes first: work that heeds no signal must not keep a lock for ever. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function decodeTask(bytes: Uint8Array, key: string): TaskRecord {
  const value = parseJson(bytes, key);
  const fields = new JsonFields(value, key);
  fields.text("taskId");
  fields.oneOf("status", ["processing", "success", "error"] as const);
  fields.time("createdAt");
  if (fields.has("finishedAt")) fields.time("finishedAt");
  return value as TaskRecord;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
