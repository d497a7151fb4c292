// The Target port over an object store: Parquet files, partitioned by day as Hive does (parquet-layout.ts).
//
// There are no transactions. Instead (D23):
// P1 Names and contents of data are functions of the slice: whoever puts them again, puts the same.
// P2 A load puts its data, then its commit object, then the loaded end of each partition. A load that stops anywhere is
//    done again from its begin, and ends as one that did not stop.
// P3 A loaded end is an object of its own, never overwritten, and the greatest counts: one that comes late, from an
//    importer that slept, moves nothing back.
// P5 A table is removed after the loaded ends of its journals have moved to REMOVED_END, which stay: a load that looks
//    at them then finds itself done. One that has looked before may put its data all the same.
// P4 Readers may see a load's rows before its commit object is there; they never see a row twice.
import { utf8, WireError } from "@millrace/base";
import {
  openStaged,
  REMOVED_END,
  type Column,
  type LoadOutcome,
  type LoadRequest,
  type PartitionLoad,
  type Target,
} from "@millrace/ingest";
import type { ObjectStore } from "@millrace/stores";
import { columnDifferences, columnKind, type ColumnKind } from "./column-kinds.ts";
import { judgeLoad } from "./load-judgement.ts";
import * as layout from "./parquet-layout.ts";
import { parquetFiles } from "./parquet-rows.ts";
import { parseTableName, type TableName } from "./table-name.ts";

export interface ParquetTargetPorts {
  /** Where tables are. */
  readonly store: ObjectStore;
  readonly stagingStore: ObjectStore;
}

interface PutObject {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
}

const TYPES: Readonly<Record<ColumnKind, string>> = {
  uuid: "uuid",
  moment: "timestamp",
  text: "string",
  offset: "long",
};

export class ParquetTarget implements Target {
  readonly #store: ObjectStore;
  readonly #stagingStore: ObjectStore;
  /** Ends that were seen or put: a listing may not show yet what is there. */
  readonly #seen = new Map<string, Map<string, number>>();

  constructor({ store, stagingStore }: ParquetTargetPorts) {
    this.#store = store;
    this.#stagingStore = stagingStore;
  }

  async check(tableId: string, columns: readonly Column[], signal: AbortSignal): Promise<string | undefined> {
    let name: TableName;
    try {
      name = tableName(tableId);
    } catch (thrown) {
      return (thrown as WireError).message;
    }
    return this.#problemOf(tableId, name, columns, signal);
  }

  async prepare(tableId: string, columns: readonly Column[], signal: AbortSignal): Promise<void> {
    const name = tableName(tableId);
    await this.#ensureColumns(tableId, name, columns, "INVALID_ARGUMENT", signal);
  }

  async loadedEnds(tableId: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const name = tableName(tableId);
    const prefix = layout.endsPrefix(name);
    const seen = this.#seenOf(prefix);
    for await (const { path } of this.#store.list(prefix, signal)) {
      const found = layout.readEndPath(name, path);
      if (found !== undefined) advance(seen, found.journal, found.end);
    }
    return new Map(seen);
  }

  /** P5 */
  async drop(tableId: string, journals: readonly string[], signal: AbortSignal): Promise<void> {
    const name = tableName(tableId);
    const prefix = layout.tablePrefix(name);
    const columns = await this.#columnsOf(name, signal);
    if (columns.size === 0 && (await this.#isThere(name, signal))) {
      throw new WireError("INVALID_ARGUMENT", `objects at "${prefix}" are of others and are not removed`);
    }
    for (const journal of journals) await this.#moveEnd(name, { journal, end: REMOVED_END }, signal);
    // What says that the table is ours goes last: a removal that stops half-way is done again.
    const last: string[] = [];
    for await (const { path } of this.#store.list(prefix, signal)) {
      if (path.startsWith(layout.columnsPrefix(name))) last.push(path);
      else if (layout.readEndPath(name, path)?.end !== REMOVED_END) await this.#store.remove(path, signal);
    }
    for (const path of last) await this.#store.remove(path, signal);
    const seen = this.#seenOf(layout.endsPrefix(name));
    for (const [journal, end] of seen) if (end < REMOVED_END) seen.delete(journal);
  }

  async load({ target, columns, partitions }: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
    const { tableId } = target;
    const name = tableName(tableId);
    const all = [
      ...columns,
      ...partitions.flatMap(({ objects }) => objects.flatMap((object) => object.columns)),
    ];
    const verdict = judgeLoad(partitions, await this.loadedEnds(tableId, signal), "each");
    if (verdict.kind !== "load") return verdict;
    await this.#ensureColumns(tableId, name, all, "UNPROCESSABLE", signal);
    const put: PutObject[] = [];
    // What was done before too: the commit object names all of a load's, whoever puts it.
    for (const partition of partitions) put.push(...(await this.#putRows(name, partition, signal)));
    await this.#putText(layout.commitPath(name, partitions), commitText(partitions, put), signal);
    for (const partition of verdict.partitions) await this.#moveEnd(name, partition, signal);
    const objects = verdict.partitions.flatMap((partition) => partition.objects);
    return { kind: "loaded", rows: objects.reduce((sum, { rows }) => sum + rows, 0) };
  }

  async #putRows(
    name: TableName,
    partition: PartitionLoad,
    signal: AbortSignal,
  ): Promise<readonly PutObject[]> {
    const put: PutObject[] = [];
    for (const [i, object] of partition.objects.entries()) {
      if (object.rows === 0) continue;
      const staged = await openStaged(this.#stagingStore, object, signal);
      for (const { date, bytes, rows } of parquetFiles(staged, partition.journal, object.columns)) {
        const path = layout.dataPath(name, partition, i, date);
        await this.#store.put(path, once(bytes), { bytes: bytes.length }, signal);
        put.push({ path, rows, bytes: bytes.length });
      }
    }
    return put;
  }

  /** P3; those that are now behind are removed. */
  async #moveEnd(
    name: TableName,
    { journal, end }: Pick<PartitionLoad, "journal" | "end">,
    signal: AbortSignal,
  ): Promise<void> {
    const path = layout.endPath(name, journal, end);
    await this.#putText(path, JSON.stringify({ journal, end }), signal);
    advance(this.#seenOf(layout.endsPrefix(name)), journal, end);
    const directory = path.slice(0, path.lastIndexOf("/") + 1);
    for await (const { path: other } of this.#store.list(directory, signal)) {
      const found = layout.readEndPath(name, other);
      // One that is left behind is removed the next time.
      if (found !== undefined && found.end < end)
        await this.#store.remove(other, signal).catch(() => undefined);
    }
  }

  async #problemOf(
    tableId: string,
    name: TableName,
    columns: readonly Column[],
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const clash = columns.find((column) => column.name.toLowerCase() === layout.DATE_KEY);
    if (clash !== undefined) return `column name "${clash.name}" is reserved: files are partitioned by it`;
    const found = await this.#columnsOf(name, signal);
    if (found.size === 0 && (await this.#isThere(name, signal))) {
      return `objects are at "${layout.tablePrefix(name)}" that Millrace has not put there`;
    }
    // Names are the same whatever their case, as they are to those who read.
    const expected = columns.map((column) => [column.name.toLowerCase(), TYPES[columnKind(column)]] as const);
    return columnDifferences(tableId, { found, expected, isOwn: true });
  }

  async #ensureColumns(
    tableId: string,
    name: TableName,
    columns: readonly Column[],
    refusal: "INVALID_ARGUMENT" | "UNPROCESSABLE",
    signal: AbortSignal,
  ): Promise<void> {
    const problem = await this.#problemOf(tableId, name, columns, signal);
    if (problem !== undefined) throw new WireError(refusal, problem);
    const found = await this.#columnsOf(name, signal);
    for (const column of columns) {
      const lower = column.name.toLowerCase();
      if (found.has(lower)) continue;
      const kind = TYPES[columnKind(column)];
      await this.#putText(layout.columnPath(name, lower, kind), kind, signal);
      (found as Map<string, string>).set(lower, kind);
    }
  }

  async #columnsOf(name: TableName, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const columns = new Map<string, string>();
    for await (const { path } of this.#store.list(layout.columnsPrefix(name), signal)) {
      const found = layout.readColumnPath(name, path);
      if (found !== undefined) columns.set(found.column, found.kind);
    }
    return columns;
  }

  /** Whether something else is there than the loaded ends of tables that were removed. */
  async #isThere(name: TableName, signal: AbortSignal): Promise<boolean> {
    for await (const { path } of this.#store.list(layout.tablePrefix(name), signal))
      if (layout.readEndPath(name, path)?.end !== REMOVED_END) return true;
    return false;
  }

  #seenOf(prefix: string): Map<string, number> {
    let seen = this.#seen.get(prefix);
    if (seen === undefined) {
      seen = new Map();
      this.#seen.set(prefix, seen);
    }
    return seen;
  }

  #putText(path: string, text: string, signal: AbortSignal): Promise<void> {
    const bytes = utf8(text);
    return this.#store.put(path, once(bytes), { bytes: bytes.length }, signal);
  }
}

function tableName(tableId: string): TableName {
  return parseTableName(tableId, "main", () => false);
}

function advance(ends: Map<string, number>, journal: string, end: number): void {
  if ((ends.get(journal) ?? -1) < end) ends.set(journal, end);
}

function commitText(partitions: readonly PartitionLoad[], objects: readonly PutObject[]): string {
  const ranges = partitions.map(({ journal, begin, end }) => ({ journal, begin, end }));
  return JSON.stringify({ version: 1, partitions: ranges, objects });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
