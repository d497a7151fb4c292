// A model of a target: tables in memory with the loaded end of each partition (D23), and the ways in which a real one
// fails: before it commits, after it has committed, or by sleeping so long that nobody waits any more.
import { WireError, type Clock, type Random } from "@millrace/base";
import type { ObjectStore } from "@millrace/stores";
import type { Column } from "./definitions.ts";
import { openStaged } from "./staged-rows.ts";
import {
  REMOVED_END,
  type LoadOutcome,
  type LoadRequest,
  type PartitionLoad,
  type StagedObject,
  type Target,
} from "./target.ts";

export interface ModelRow {
  readonly journal: string;
  readonly offset: number;
  readonly sinkVersion: number;
  /** By column name. */
  readonly values: Readonly<Record<string, string>>;
}

export interface ModelTable {
  /** In the order of their insertion. */
  readonly rows: ModelRow[];
  readonly ends: Map<string, number>;
  readonly columns: Set<string>;
}

export interface ModelTargetOptions {
  readonly stagingStore: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly latencyMs?: { readonly min: number; readonly max: number };
  /** Chance of each, in thousandths of the loads. */
  readonly faults?: TargetFaults;
  /** A sleep takes up to this long. Default 60 s. */
  readonly sleepMs?: number;
  /** false: takes every load as it comes. The negative control of the simulator: rows are then doubled. */
  readonly checksLoadedEnd?: boolean;
}

export interface TargetFaults {
  readonly before?: number;
  readonly after?: number;
  readonly sleep?: number;
}

export class ModelTarget implements Target {
  readonly tables = new Map<string, ModelTable>();
  faults: TargetFaults;
  /** Loads that began. */
  loads = 0;
  readonly #options: ModelTargetOptions;
  readonly #random: Random;

  constructor(options: ModelTargetOptions) {
    this.#options = options;
    this.#random = options.random.fork("model-target");
    this.faults = options.faults ?? {};
  }

  /** A model takes any columns. */
  check(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  prepare(tableId: string, columns: readonly Column[]): Promise<void> {
    const table = this.#table(tableId);
    for (const { name } of columns) table.columns.add(name);
    return Promise.resolve();
  }

  drop(tableId: string, journals: readonly string[]): Promise<void> {
    const table = this.#table(tableId);
    table.rows.length = 0;
    table.columns.clear();
    for (const [journal, end] of table.ends) if (end < REMOVED_END) table.ends.delete(journal);
    for (const journal of journals) table.ends.set(journal, REMOVED_END);
    return Promise.resolve();
  }

  /** Like a database behind a network, it goes on when the caller has given up. */
  load(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
    this.loads++;
    const work = this.#load(request);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      const done = (): void => signal.removeEventListener("abort", onAbort);
      work.then(resolve, reject).finally(done);
    });
  }

  async loadedEnds(tableId: string, _signal?: AbortSignal): Promise<ReadonlyMap<string, number>> {
    await this.#pause();
    return new Map(this.tables.get(tableId)?.ends);
  }

  async #load(request: LoadRequest): Promise<LoadOutcome> {
    const never = new AbortController().signal;
    await this.#pause();
    if (this.#chance("before")) throw new WireError("UNAVAILABLE", "the target is not reachable");
    const early = this.#judge(request);
    if (early !== undefined) return early;
    const rows: ModelRow[] = [];
    for (const partition of request.partitions) {
      for (const object of partition.objects) rows.push(...(await this.#read(partition, object, never)));
    }
    if (this.#chance("sleep")) {
      await this.#options.clock.sleep(this.#random.below(this.#options.sleepMs ?? 60_000), never);
    }
    // Nothing is awaited between this judgement and the commit: that is the transaction.
    const late = this.#judge(request);
    if (late !== undefined) return late;
    const table = this.#table(request.target.tableId);
    for (const { name } of request.columns) table.columns.add(name);
    table.rows.push(...rows);
    for (const { journal, end } of request.partitions) table.ends.set(journal, end);
    if (this.#chance("after"))
      throw new WireError("OUTCOME_UNKNOWN", "the connection to the target was lost");
    return { kind: "loaded", rows: rows.length };
  }

  #judge(request: LoadRequest): LoadOutcome | undefined {
    if (this.#options.checksLoadedEnd === false) return undefined;
    const ends = this.#table(request.target.tableId).ends;
    let done = 0;
    for (const { journal, begin, end, startsTarget } of request.partitions) {
      const loadedEnd = ends.get(journal);
      if (loadedEnd !== undefined && loadedEnd >= end) done++;
      else if (startsTarget ? (loadedEnd ?? 0) > begin : loadedEnd !== begin) {
        return { kind: "refused", journal, begin, loadedEnd };
      }
    }
    if (done === request.partitions.length) return { kind: "already" };
    if (done === 0) return undefined;
    const { journal, begin } = request.partitions.find(
      ({ journal, end }) => (ends.get(journal) ?? -1) >= end,
    )!;
    return { kind: "refused", journal, begin, loadedEnd: ends.get(journal) };
  }

  async #read(
    { journal }: PartitionLoad,
    object: StagedObject,
    signal: AbortSignal,
  ): Promise<readonly ModelRow[]> {
    const { columns, sinkVersion } = object;
    const staged = await openStaged(this.#options.stagingStore, object, signal);
    const rows: ModelRow[] = [];
    while (staged.next()) {
      const values = Object.fromEntries(columns.map(({ name }, i) => [name, staged.value(i)]));
      rows.push({ journal, offset: staged.offset, sinkVersion, values });
    }
    return rows;
  }

  #table(tableId: string): ModelTable {
    let table = this.tables.get(tableId);
    if (table === undefined) {
      table = { rows: [], ends: new Map(), columns: new Set() };
      this.tables.set(tableId, table);
    }
    return table;
  }

  async #pause(): Promise<void> {
    const { min, max } = this.#options.latencyMs ?? { min: 0, max: 0 };
    if (max > 0)
      await this.#options.clock.sleep(min + this.#random.below(max - min + 1), new AbortController().signal);
  }

  #chance(fault: keyof TargetFaults): boolean {
    return this.#random.below(1000) < (this.faults[fault] ?? 0);
  }
}
