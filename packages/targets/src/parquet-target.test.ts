import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { concatBytes, never, systemClock, text, utf8 } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { Column, PartitionLoad } from "@millrace/ingest";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { ParquetTarget } from "./parquet-target.ts";
import { stageLoad } from "./staged-fixture.ts";
import { targetConformance, type TargetSubject } from "./target-conformance.ts";
import type { TargetRow } from "./target-rows.ts";

const body: Column = { type: "body", name: "body" };
const moment: Column = { type: "datetime", name: "at" };

function storeOf(listLagMs = 0): MemoryStore {
  return memoryStore({ clock: systemClock, random: seededRandom("parquet"), listLagMs });
}

async function contentOf(store: MemoryStore, path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of store.get(path, {}, never)) parts.push(part);
  return concatBytes(parts);
}

async function paths(store: MemoryStore, prefix: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { path } of store.list(prefix, never)) found.push(path);
  return found.sort();
}

/** What others see: the table's files as DuckDB reads a Hive table. */
async function read(
  store: MemoryStore,
  prefix: string,
  select: string,
): Promise<readonly Record<string, unknown>[]> {
  const files = (await paths(store, prefix)).filter((path) => path.endsWith(".parquet"));
  if (files.length === 0) return [];
  const folder = mkdtempSync(join(tmpdir(), "millrace-parquet-"));
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    for (const path of files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), await contentOf(store, path));
    }
    await connection.run("SET TimeZone = 'UTC'");
    const all = `read_parquet('${folder}/${prefix}**/*.parquet', hive_partitioning = true, union_by_name = true)`;
    return (await connection.runAndReadAll(`SELECT ${select} FROM ${all}`)).getRowObjectsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
    rmSync(folder, { recursive: true });
  }
}

function subject(): Promise<TargetSubject> {
  const store = storeOf();
  const staging = storeOf();
  const open = (): ParquetTarget => new ParquetTarget({ store, stagingStore: staging });
  return Promise.resolve({
    target: open(),
    staging,
    rows: async (tableId): Promise<readonly TargetRow[]> => {
      const rows = await read(store, `${tableId.replace(".", "/")}/`, "* EXCLUDE (dt)");
      return rows.map(({ _journal, _offset, ...values }) => {
        return {
          journal: _journal as string,
          offset: Number(_offset),
          values: values as TargetRow["values"],
        };
      });
    },
    again: () => Promise.resolve(open()),
    failNext: (when) => {
      const [part, fault] =
        when === "before" ? ["/commits/", "unavailable"] : ["/ends/", "timeout-after-success"];
      store.script = (operation, path) => {
        if (operation !== "put" || !path.includes(part)) return undefined;
        store.script = undefined;
        return fault as "unavailable" | "timeout-after-success";
      };
    },
    close: () => Promise.resolve(),
  });
}

targetConformance("parquet", { commits: "each", checksTables: true, takesNul: true }, subject);

interface Fixture {
  readonly store: MemoryStore;
  readonly target: ParquetTarget;
  readonly load: (partition: PartitionLoad, columns?: readonly Column[]) => Promise<string>;
  readonly stage: (begin: number, ...rows: readonly string[][]) => Promise<PartitionLoad>;
}

function fixture(listLagMs = 0): Fixture {
  const store = storeOf(listLagMs);
  const staging = storeOf();
  const target = new ParquetTarget({ store, stagingStore: staging });
  const columns = [moment, body];
  return {
    store,
    target,
    stage: (begin, ...rows) => stageLoad(staging, "j/p000", { columns, rows, begin }),
    load: async (partition, wanted = columns) => {
      const request = {
        target: { kind: "duckdb", tableId: "t" } as const,
        columns: wanted,
        partitions: [partition],
      };
      return (await target.load(request, never)).kind;
    },
  };
}

test("parquet: rows of two days -> a file each under its date, and a commit object that names them", async () => {
  const { store, load, stage } = fixture();
  const partition = await stage(
    0,
    ["2026-01-02T23:59:59.999Z", "a"],
    ["2026-01-03T00:00:00.000Z", "b"],
    ["2026-01-02T23:59:59.998Z", "c"],
  );
  await load(partition);
  const rows = await read(store, "main/t/", 'dt::varchar AS dt, "at"::varchar AS moment, body');
  assert.deepEqual(rows.map(({ dt, body: value }) => `${String(dt)} ${String(value)}`).sort(), [
    "2026-01-02 a",
    "2026-01-02 c",
    "2026-01-03 b",
  ]);
  const [commit] = await paths(store, "main/t/_millrace/commits/");
  const range = `j~p000.${"0".repeat(16)}-${partition.end.toString(16).padStart(16, "0")}`;
  assert.equal(commit, `main/t/_millrace/commits/${range}.json`);
  const { partitions, objects } = JSON.parse(text(await contentOf(store, commit))) as {
    partitions: unknown;
    objects: readonly { path: string; rows: number }[];
  };
  assert.deepEqual(partitions, [{ journal: "j/p000", begin: 0, end: partition.end }]);
  assert.deepEqual(
    objects.map(({ path, rows: count }) => [path, count]),
    [
      [`main/t/dt=2026-01-02/${range}.0.parquet`, 2],
      [`main/t/dt=2026-01-03/${range}.0.parquet`, 1],
    ],
  );
});

test("parquet: an importer that slept puts its end late -> nothing moves back, and old ends are removed", async () => {
  const { store, target, load, stage } = fixture();
  const first = await stage(0, ["2026-01-02T00:00:00.000Z", "a"]);
  await load(first);
  const [late] = await paths(store, "main/t/_millrace/ends/");
  const lateBytes = await contentOf(store, late!);
  const second = await stage(first.end, ["2026-01-02T00:00:01.000Z", "b"]);
  await load(second);
  assert.equal((await paths(store, "main/t/_millrace/ends/")).length, 1);
  await store.put(late!, iterate(lateBytes), {}, never);
  assert.deepEqual([...(await target.loadedEnds("t", never))], [["j/p000", second.end]]);
  const other = new ParquetTarget({ store, stagingStore: store });
  assert.deepEqual([...(await other.loadedEnds("main.t", never))], [["j/p000", second.end]]);
});

test("parquet: a bucket whose listings lag -> its own loads are known all the same", async () => {
  const { load, stage } = fixture(3_600_000);
  const first = await stage(0, ["2026-01-02T00:00:00.000Z", "a"]);
  assert.equal(await load(first), "loaded");
  assert.equal(await load(first), "already");
  assert.equal(await load(await stage(first.end, ["2026-01-02T00:00:01.000Z", "b"])), "loaded");
});

test("parquet: a column `dt`, and a place where others have put objects -> check says why", async () => {
  const { store, target } = fixture();
  const clash = await target.check("t", [{ ...body, name: "DT" }], never);
  assert.equal(clash, 'column name "DT" is reserved: files are partitioned by it');
  await store.put("main/other/file.parquet", iterate(utf8("x")), {}, never);
  const foreign = await target.check("other", [body], never);
  assert.equal(foreign, 'objects are at "main/other/" that Millrace has not put there');
  await assert.rejects(target.prepare("other", [body], never), { code: "INVALID_ARGUMENT" });
});

async function* iterate(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
