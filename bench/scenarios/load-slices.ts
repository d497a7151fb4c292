// Loads of staged slices through the target, with the loaded end in the same transaction, against DuckDB's own
// `insert … select from read_parquet` of the same rows, written by DuckDB itself.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32c } from "@node-rs/crc32";
import { DuckDBInstance } from "@duckdb/node-api";
import { never } from "@millrace/base";
import type { Column } from "@millrace/ingest";
import { ColumnStage, stagedObject } from "@millrace/ingest/testkit";
import { encodeFrameHead, FrameDecoder } from "@millrace/ingest";
import { DuckDBTarget, openEngine } from "@millrace/warehouse/testkit";
import { pairs, ratios, type RunOptions, type Scenario, type ScenarioResult } from "../scenario.ts";
import { sampleRecord } from "../wrk.ts";

/** Rows of a slice at the default upload condition, slices of a file at the default import condition. */
const SLICE_ROWS = 10_000;
const SLICES = 5;
const COLUMNS: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  { type: "path", name: "origin", path: "origin", rawString: true },
  { type: "body", name: "body" },
];

const CREATE_ROWS =
  "create table rows (id uuid, received_at timestamp, origin varchar, body varchar, _journal varchar, _offset bigint)";

export const loadSlices: Scenario = {
  name: "load-slices",
  family: "platform",
  title: "load of staged slices into DuckDB, against DuckDB's own `read_parquet` insert of the same rows",
  atLeast: "0.7",
  aim: "0.95",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const staging = `${join(directory, "staging")}/`;
  mkdirSync(staging);
  const engineOptions = {
    stagingDir: staging,
    tempDir: join(directory, "tmp"),
    memoryBytes: 2 ** 30,
    threads: 2,
  };
  const engine = await openEngine({ file: join(directory, "ours.duckdb"), ...engineOptions });
  const fails = (error: unknown): never => {
    throw error;
  };
  const target = new DuckDBTarget(engine, (path) => join(staging, path), fails, directory);
  const plain = await DuckDBInstance.create(join(directory, "theirs.duckdb"), {
    threads: "2",
    checkpoint_threshold: "64MiB",
  });
  const connection = await plain.connect();
  try {
    await target.prepare("main.rows", COLUMNS, never);
    await connection.run(CREATE_ROWS);
    const loads = options.quick ? 4 : 10;
    let journal = 0;
    const ours = async (): Promise<number> => {
      const partitions = Array.from({ length: loads }, () => stage(staging, `bench/p${journal++}`));
      const startMs = performance.now();
      for (const partition of partitions) {
        const outcome = await target.load(
          { target: { kind: "duckdb", tableId: "main.rows" }, columns: COLUMNS, partitions: [partition] },
          never,
        );
        if (outcome.kind !== "loaded") throw new Error(`a load was ${outcome.kind}`);
      }
      return rowsPerSecond(loads, startMs);
    };
    const theirs = async (): Promise<number> => {
      const files: string[] = [];
      for (let load = 0; load < loads; load++) {
        const staged = stage(staging, "bench/plain").objects.map(
          (object) => `'${join(staging, object.path)}'`,
        );
        for (let slice = 0; slice < SLICES; slice++) {
          const file = join(staging, `duckdb-${journal}-${load}-${slice}.parquet`);
          const values =
            "c0::uuid as id, c1::timestamp as received_at, c2 as origin, c3 as body, 'bench/plain' as j, _offset";
          await connection.run(
            `copy (select ${values} from read_parquet(${staged[slice]})) to '${file}' (format parquet)`,
          );
          files.push(file);
        }
      }
      const startMs = performance.now();
      for (let load = 0; load < loads; load++) {
        const some = files.slice(load * SLICES, (load + 1) * SLICES).map((file) => `'${file}'`);
        await connection.run(`insert into rows select * from read_parquet([${some.join(", ")}])`);
      }
      return rowsPerSecond(loads, startMs);
    };
    await ours();
    await theirs();
    const taken = await pairs(options.rounds, ours, theirs);
    for (const pair of taken)
      options.log(`${pair.ours.toFixed(0)} rows/s, read_parquet ${pair.baseline.toFixed(0)} rows/s`);
    const { ours: perSecond, baseline, ratio } = ratios(taken);
    const measured = { ratio, oursRowsPerSecond: perSecond, readParquetRowsPerSecond: baseline };
    return { figure: ratio.median.toFixed(2), measured };
  } finally {
    connection.closeSync();
    plain.closeSync();
    engine.closeSync();
    rmSync(directory, { recursive: true, force: true });
  }
}

function rowsPerSecond(loads: number, startMs: number): number {
  return (loads * SLICES * SLICE_ROWS) / ((performance.now() - startMs) / 1000);
}

/** Writes the staged objects of one partition: what a file of default conditions holds. */
function stage(directory: string, journal: string) {
  const body = sampleRecord(200).replaceAll('"', '""');
  let offset = 0;
  const objects = Array.from({ length: SLICES }, (_, slice) => {
    const columns = new ColumnStage();
    const rows = Array.from({ length: SLICE_ROWS }, (_, i) => {
      const id = `0193a0f0-${String(slice).padStart(4, "0")}-7000-8000-${String(i).padStart(12, "0")}`;
      return `"${id}","2026-01-02T03:04:05.678Z","PRG","${body}"\n`;
    });
    const bytes = Buffer.from(rows.join(""));
    const lengths = rows.map((row) => row.length);
    const header = { producer: "00deadbeef00cafe", sequence: slice + 1, sinkVersion: 1, acceptedAtMs: 1 };
    const head = encodeFrameHead(header, lengths, lengths.length, bytes);
    const [frame] = new FrameDecoder(offset).push(Buffer.concat([head, bytes]));
    if (frame === undefined) throw new Error("a frame was not decoded");
    columns.add(frame);
    offset = frame.end;
    const staged = stagedObject([columns]);
    const path = `${journal.replaceAll("/", "-")}-${slice}-${performance.now()}.parquet`;
    writeFileSync(join(directory, path), Buffer.concat(staged.chunks));
    if (crc32c(readFileSync(join(directory, path))) !== staged.crc32c)
      throw new Error("the object is not what was staged");
    return {
      path,
      columns: COLUMNS,
      sinkVersion: 1,
      rows: staged.rows,
      bytes: staged.bytes,
      crc32c: staged.crc32c,
    };
  });
  return { journal, begin: 0, end: offset, objects, startsTarget: true };
}
