// What the management dialog is about: a source or a sink that is being looked at or changed, deleted ones, tasks.
import { ApiError, type ApiClient } from "./api-client.ts";
import type { FieldProblem } from "./form-problems.ts";
import type { ManagePlace, ManageTab } from "./manage-place.ts";
import { StreamApi, type Place } from "./stream-api.ts";
import type { Sink, Source, Task } from "./stream-definitions.ts";

/** Tasks that are remembered. */
const TASKS_MAX = 100;

export class ManageModel {
  readonly api: StreamApi;
  place = $state.raw<ManagePlace | undefined>(undefined);
  /** Of a sink's place both. */
  source = $state.raw<Source | undefined>(undefined);
  sink = $state.raw<Sink | undefined>(undefined);
  /** Why what was asked for last did not happen; "" when it did. */
  failure = $state("");
  /** The same by the fields of what was sent, as far as it is about fields. */
  problems = $state.raw<readonly FieldProblem[]>([]);
  /** What is being done, "Saving" say; "" when nothing is. */
  busy = $state("");
  /** Newest first: those of the server and, live, those of this page. */
  tasks = $state.raw<readonly Task[]>([]);
  /** Counts changes, for what shows more of the place than its definition. */
  revision = $state(0);
  readonly #announce: (text: string) => void;
  #reading: AbortController | undefined;

  constructor(api: ApiClient, base: string, page: Window, announce: (text: string) => void) {
    const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
      new Promise((resolve, reject) => {
        const timer = page.setTimeout(resolve, ms);
        const onAbort = (): void => {
          page.clearTimeout(timer);
          reject(signal.reason as Error);
        };
        signal.addEventListener("abort", onAbort, { once: true });
      });
    this.api = new StreamApi(api, base, { sleep, onTask: (task) => this.#onTask(task) });
    this.#announce = announce;
  }

  get isOpen(): boolean {
    return this.place !== undefined;
  }

  /** The source or the sink that is looked at, if it is one. */
  get subject(): Place | undefined {
    const place = this.place;
    if (place?.kind === "source") return { sourceId: place.sourceId };
    return place?.kind === "sink" ? { sourceId: place.sourceId, sinkId: place.sinkId } : undefined;
  }

  open(place: ManagePlace): void {
    this.#reading?.abort();
    this.place = place;
    this.source = undefined;
    this.sink = undefined;
    this.#clearFailure();
    void this.reload();
  }

  close(): void {
    this.#reading?.abort();
    this.place = undefined;
  }

  choose(tab: ManageTab): void {
    const place = this.place;
    if (place?.kind === "source" || place?.kind === "sink") this.place = { ...place, tab };
    this.#clearFailure();
  }

  /** Reads what the place is about. */
  async reload(): Promise<void> {
    const place = this.place;
    if (place === undefined) return;
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    const { signal } = reading;
    try {
      if ("sourceId" in place) {
        const source = await this.api.source(place, signal);
        const sink = place.kind === "sink" ? await this.api.sink(place, signal) : undefined;
        if (signal.aborted) return;
        this.source = source;
        this.sink = sink;
      }
      if (place.kind === "tasks") this.tasks = await this.api.tasks(signal);
    } catch (thrown) {
      if (!signal.aborted) this.failure = messageOf(thrown);
    }
  }

  /**
   * Does one thing at a time and reads the place anew.
   * @param name what is shown meanwhile
   * @returns what the work gave, undefined when it failed: {@link failure} says why
   */
  async perform<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    if (this.busy !== "") return undefined;
    this.busy = name;
    this.#clearFailure();
    try {
      const done = await work(new AbortController().signal);
      this.revision++;
      return done;
    } catch (thrown) {
      this.failure = messageOf(thrown);
      if (thrown instanceof ApiError) this.problems = thrown.problems;
      this.#announce(this.failure);
      return undefined;
    } finally {
      this.busy = "";
      if (this.failure === "") await this.reload();
    }
  }

  #clearFailure(): void {
    this.failure = "";
    this.problems = [];
  }

  #onTask(task: Task): void {
    const others = this.tasks.filter(({ taskId }) => taskId !== task.taskId);
    this.tasks = [task, ...others].slice(0, TASKS_MAX);
    if (task.isFinished && task.result !== undefined) this.#announce(task.result);
  }
}

export function messageOf(thrown: unknown): string {
  if (thrown instanceof ApiError) return thrown.message;
  return thrown instanceof Error ? thrown.message : String(thrown);
}
