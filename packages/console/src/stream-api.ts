// The configuration API as the page uses it: addresses, pages walked to their end, and changes followed as tasks until
// they have ended.
import { ApiError, type ApiClient } from "./api-client.ts";
import type {
  Column,
  DeadLetters,
  FileStatistics,
  MappedRow,
  NewToken,
  Setting,
  Sink,
  SinkStatistics,
  Source,
  Task,
  Token,
  Version,
} from "./stream-definitions.ts";

export interface SourcePlace {
  readonly sourceId: string;
}
export interface SinkPlace extends SourcePlace {
  readonly sinkId: string;
}
export type Place = SourcePlace | SinkPlace;

/** Things that one request does to a source or a sink. */
export type LifeChange = "disable" | "enable" | "undelete";

export interface SampleRecord {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const PAGE = 100;
/** Pages that a list is followed for: sources of a branch have 100. */
const PAGES_MAX = 20;
const TASK_POLL_MS = 300;

export class StreamApi {
  readonly #api: ApiClient;
  readonly #base: string;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #onTask: (task: Task) => void;

  /**
   * @param base of the API, ending in `/v1/`
   * @param ports.onTask is told of every task that a change has become, and of its end
   */
  constructor(
    api: ApiClient,
    base: string,
    ports: { sleep: (ms: number, signal: AbortSignal) => Promise<void>; onTask: (task: Task) => void },
  ) {
    this.#api = api;
    this.#base = base;
    this.#sleep = ports.sleep;
    this.#onTask = ports.onTask;
  }

  async source(place: SourcePlace, signal: AbortSignal): Promise<Source> {
    return (await this.#get(pathOf({ sourceId: place.sourceId }), signal)) as Source;
  }

  async sink(place: SinkPlace, signal: AbortSignal): Promise<Sink> {
    return (await this.#get(pathOf(place), signal)) as Sink;
  }

  async deletedSources(signal: AbortSignal): Promise<readonly Source[]> {
    return (await this.#list(`${SOURCES}/deleted`, "sources", signal)) as Source[];
  }

  async deletedSinks({ sourceId }: SourcePlace, signal: AbortSignal): Promise<readonly Sink[]> {
    return (await this.#list(`${pathOf({ sourceId })}/sinks/deleted`, "sinks", signal)) as Sink[];
  }

  /** The newest first. */
  async versions(place: Place, signal: AbortSignal): Promise<readonly Version[]> {
    return ((await this.#list(`${pathOf(place)}/versions`, "versions", signal)) as Version[]).reverse();
  }

  async definition(place: Place, version: number, signal: AbortSignal): Promise<Source | Sink> {
    return (await this.#get(`${pathOf(place)}/versions/${version}/definition`, signal)) as Source | Sink;
  }

  async settings(place: Place, signal: AbortSignal): Promise<readonly Setting[]> {
    return ((await this.#get(`${pathOf(place)}/settings`, signal)) as { settings: Setting[] }).settings;
  }

  async total(place: SinkPlace, signal: AbortSignal): Promise<SinkStatistics> {
    return (await this.#get(`${pathOf(place)}/statistics/total`, signal)) as SinkStatistics;
  }

  async files(place: SinkPlace, signal: AbortSignal): Promise<readonly FileStatistics[]> {
    return ((await this.#get(`${pathOf(place)}/statistics/files`, signal)) as { files: FileStatistics[] })
      .files;
  }

  /** The oldest, `limit` at most. */
  async deadLetters(place: SinkPlace, limit: number, signal: AbortSignal): Promise<DeadLetters> {
    return (await this.#get(`${pathOf(place)}/dead-letters?limit=${limit}`, signal)) as DeadLetters;
  }

  replay(place: SinkPlace, signal: AbortSignal): Promise<Task> {
    return this.#change("POST", `${pathOf(place)}/dead-letters/replay`, undefined, signal);
  }

  async tasks(signal: AbortSignal): Promise<readonly Task[]> {
    return ((await this.#get("tasks", signal)) as { tasks: Task[] }).tasks;
  }

  /** The rows that columns make of a record. @throws {ApiError} 400 about the columns, 422 about the record */
  async mapped(
    { sourceId }: SourcePlace,
    { columns, tableType }: { readonly columns: readonly Column[]; readonly tableType: string },
    record: SampleRecord,
    signal: AbortSignal,
  ): Promise<readonly MappedRow[]> {
    const body = { mapping: { columns }, tableType, record };
    const answer = await this.#api.postJson(this.#url(`${pathOf({ sourceId })}/test-mapping`), body, signal);
    return (answer as { rows: MappedRow[] }).rows;
  }

  async tokens(signal: AbortSignal): Promise<readonly Token[]> {
    return ((await this.#get("tokens", signal)) as { tokens: Token[] }).tokens;
  }

  async createToken(body: object, signal: AbortSignal): Promise<NewToken> {
    return (await this.#send("POST", "tokens", body, signal)) as NewToken;
  }

  async deleteToken(tokenId: string, signal: AbortSignal): Promise<void> {
    await this.#send("DELETE", `tokens/${encodeURIComponent(tokenId)}`, undefined, signal);
  }

  createSource(body: object, signal: AbortSignal): Promise<Task> {
    return this.#change("POST", SOURCES, body, signal);
  }

  createSink({ sourceId }: SourcePlace, body: object, signal: AbortSignal): Promise<Task> {
    return this.#change("POST", `${pathOf({ sourceId })}/sinks`, body, signal);
  }

  update(place: Place, body: object, signal: AbortSignal): Promise<Task> {
    return this.#change("PATCH", pathOf(place), body, signal);
  }

  updateSettings(
    place: Place,
    settings: readonly { key: string; value: string | number | boolean | null }[],
    changeDescription: string,
    signal: AbortSignal,
  ): Promise<Task> {
    const body = changeDescription === "" ? { settings } : { changeDescription, settings };
    return this.#change("PATCH", `${pathOf(place)}/settings`, body, signal);
  }

  delete(place: Place, signal: AbortSignal): Promise<Task> {
    return this.#change("DELETE", pathOf(place), undefined, signal);
  }

  /** Removes a source, also a deleted one, with all that is its own. */
  purge({ sourceId }: SourcePlace, signal: AbortSignal): Promise<Task> {
    return this.#change("DELETE", `${pathOf({ sourceId })}?cascade=true`, undefined, signal);
  }

  life(place: Place, change: LifeChange, signal: AbortSignal): Promise<Task> {
    return this.#change("PUT", `${pathOf(place)}/${change}`, undefined, signal);
  }

  rollback(place: Place, version: number, signal: AbortSignal): Promise<Task> {
    return this.#change("PUT", `${pathOf(place)}/versions/${version}/rollback`, undefined, signal);
  }

  async rotateSecret({ sourceId }: SourcePlace, signal: AbortSignal): Promise<Source> {
    return (await this.#send("POST", `${pathOf({ sourceId })}/rotate-secret`, undefined, signal)) as Source;
  }

  async clearStatistics(place: Place, signal: AbortSignal): Promise<void> {
    await this.#send("DELETE", `${pathOf(place)}/statistics/clear`, undefined, signal);
  }

  /** @throws {ApiError} when it is refused, or its task fails */
  async #change(method: string, path: string, body: unknown, signal: AbortSignal): Promise<Task> {
    let task = (await this.#send(method, path, body, signal)) as Task;
    this.#onTask(task);
    while (!task.isFinished) {
      await this.#sleep(TASK_POLL_MS, signal);
      task = (await this.#get(`tasks/${task.taskId}`, signal)) as Task;
      this.#onTask(task);
    }
    if (task.status === "success") return task;
    throw new ApiError(task.error ?? "the task failed", { status: 200, code: "TASK_FAILED" });
  }

  async #list(path: string, name: string, signal: AbortSignal): Promise<unknown[]> {
    const all: unknown[] = [];
    let afterId = "";
    for (let i = 0; i < PAGES_MAX; i++) {
      const query = `limit=${PAGE}&afterId=${encodeURIComponent(afterId)}`;
      const answer = (await this.#get(`${path}?${query}`, signal)) as Record<string, unknown>;
      const items = answer[name] as unknown[];
      all.push(...items);
      afterId = (answer["page"] as { lastId: string }).lastId;
      if (items.length < PAGE) break;
    }
    return all;
  }

  #get(path: string, signal: AbortSignal): Promise<unknown> {
    return this.#api.getJson(this.#url(path), signal);
  }

  #send(method: string, path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#api.sendJson(method, this.#url(path), body, signal);
  }

  #url(path: string): string {
    return `${this.#base}${path}`;
  }
}

const SOURCES = "branches/default/sources";

/** Below `/v1/`. */
export function pathOf(place: Place): string {
  const source = `${SOURCES}/${encodeURIComponent(place.sourceId)}`;
  return "sinkId" in place ? `${source}/sinks/${encodeURIComponent(place.sinkId)}` : source;
}
