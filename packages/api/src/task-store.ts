// Tasks of the configuration API (specification 1.13): small work that runs apart from the request that asked for it,
// with a record that outlives the process.
//
//   processing ──> success
//        └───────> error          T1 A record is written before the work starts, and again when it has ended.
//                                 T2 A task whose process died shows as failed once its time is over.
import { WireError, utf8, type Clock, type Logger, type Random, TaskGroup } from "@millrace/base";
import { JsonFields, parseJson } from "@millrace/ingest";
import { keyOf, prefixRange, type CoordinationStore } from "@millrace/metadata";

export type TaskType = "api.create.source" | "api.create.sink";

export interface TaskOutputs {
  readonly url?: string;
  readonly projectId?: number;
  readonly branchId?: number;
  readonly sourceId?: string;
  readonly sinkId?: string;
}

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

const PREFIX = "stream/task/";
const TIMEOUT_MS = 5 * 60_000;
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

  constructor(ports: { store: CoordinationStore; clock: Clock; random: Random; logger: Logger }) {
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
    work: (signal: AbortSignal) => Promise<TaskSuccess>,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<TaskRecord> {
    const createdAt = isoTime(this.#clock.wallMs());
    const taskId = `${request.type}/${request.objectKey}/${createdAt}_${this.#letters(5)}`;
    const record: TaskRecord = { taskId, type: request.type, createdAt, status: "processing" };
    await this.#put(request.projectId, record, signal); // T1
    const finished = new Promise<TaskRecord>((resolve) => {
      this.#running.spawn(taskId, async (taskSignal) => {
        const done = await this.#perform(record, work, taskSignal);
        try {
          await this.#put(request.projectId, done, taskSignal);
        } catch (thrown) {
          // The work has ended all the same; its record says so once its time is over (T2).
          this.#logger.warn("task-record-failed", { task: taskId, error: WireError.from(thrown) });
        }
        resolve(done);
      });
    });
    return new Promise((resolve) => {
      const cancel = this.#clock.after(waitMs, () => resolve(record));
      void finished.then((done) => {
        cancel();
        resolve(done);
      });
    });
  }

  async get(projectId: number, taskId: string, signal: AbortSignal): Promise<TaskRecord | undefined> {
    const key = taskKey(projectId, taskId);
    const { kvs } = await this.#store.range({ key }, signal);
    if (kvs[0] === undefined) return undefined;
    const record = decodeTask(kvs[0].value, key);
    const ageMs = this.#clock.wallMs() - Date.parse(record.createdAt);
    if (record.status !== "processing" || ageMs < TIMEOUT_MS) return record;
    const finishedAt = isoTime(Date.parse(record.createdAt) + TIMEOUT_MS);
    return { ...record, status: "error", error: "Task timed out.", finishedAt, durationMs: TIMEOUT_MS }; // T2
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
      const record = decodeTask(value, key);
      const keptMs = record.status === "success" ? SUCCESS_KEPT_MS : OTHERS_KEPT_MS;
      if (nowMs - Date.parse(record.finishedAt ?? record.createdAt) < keptMs) continue;
      const compare = [{ target: "mod", key, op: "=", revision: modRevision } as const];
      const { succeeded } = await this.#store.txn({ compare, success: [{ kind: "delete", key }] }, signal);
      if (succeeded) removed++;
    }
    return removed;
  }

  /** Ends what is running; its records stay as they are (T2). */
  close(): Promise<void> {
    return this.#running.close();
  }

  async #perform(
    record: TaskRecord,
    work: (signal: AbortSignal) => Promise<TaskSuccess>,
    signal: AbortSignal,
  ): Promise<TaskRecord> {
    const outcome = await this.#outcome(record, work, signal);
    const finishedMs = this.#clock.wallMs();
    // What lies between the record's two times, unless somebody set the clock back.
    const durationMs = Math.max(0, finishedMs - Date.parse(record.createdAt));
    return { ...record, ...outcome, finishedAt: isoTime(finishedMs), durationMs };
  }

  async #outcome(
    record: TaskRecord,
    work: (signal: AbortSignal) => Promise<TaskSuccess>,
    signal: AbortSignal,
  ): Promise<Pick<TaskRecord, "status" | "result" | "error" | "outputs">> {
    try {
      return { status: "success", ...(await work(signal)) };
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = WireError.from(thrown);
      this.#logger.warn("task-work-failed", { task: record.taskId, error });
      return { status: "error", error: error.code === "INTERNAL" ? "Unknown error" : error.message };
    }
  }

  async #put(projectId: number, record: TaskRecord, signal: AbortSignal): Promise<void> {
    const value = utf8(JSON.stringify(record));
    const op = { kind: "put", key: taskKey(projectId, record.taskId), value } as const;
    await this.#store.txn({ compare: [], success: [op] }, signal);
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
