// CSV or Parquet for staged objects: CPU of making them from frames and of loading them into DuckDB, end to end.
// `node packages/ingest/dist/staging-format.bench.js [rows] [rowsPerObject]`; docs/adr/0002-staging-format.md has
// results.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { DuckDBInstance } from "@duckdb/node-api";
import { seededRandom } from "@millrace/base/testkit";
import { concatBytes, hex, text, utf8 } from "@millrace/base";
import { parquetWriteBuffer } from "hyparquet-writer";

import type { Frame } from "./frame.ts";
import { ColumnStage } from "./staging-columns.ts";
import { stagedObject } from "./staging-parquet.ts";

const ROWS_PER_FRAME = 1000;
const AIRPORTS = ["ATL", "JFK", "SFO", "ORD", "DFW"];

interface Format {
  readonly name: string;
  make(frames: readonly Frame[]): Uint8Array;
  select(path: string): string;
}

function frames(count: number, bodyOf: (i: number) => object): Frame[] {
  const random = seededRandom("staging-format");
  const made: Frame[] = [];
  let begin = 0;
  for (let at = 0; at < count; at += ROWS_PER_FRAME) {
    const rows: Uint8Array[] = [];
    for (let i = at; i < at + ROWS_PER_FRAME; i++) {
      const id = hex(random.fill(new Uint8Array(18)));
      const body = JSON.stringify(bodyOf(i)).replaceAll('"', '""');
      const ms = String(i % 1000).padStart(3, "0");
      rows.push(utf8(`"${id}","2026-01-01T00:00:00.${ms}Z","${AIRPORTS[i % 5]!}","${body}"\n`));
    }
    const body = concatBytes(rows);
    const bodyBegin = begin + 4000;
    const header = { producer: "00deadbeef00cafe", sequence: 1, sinkVersion: 1, acceptedAtMs: 1 };
    const rowLengths = Uint32Array.from(rows.map((row) => row.length));
    made.push({
      ...header,
      begin,
      end: bodyBegin + body.length,
      bodyBegin,
      count: ROWS_PER_FRAME,
      rowLengths,
      keys: undefined,
      body,
    });
    begin = bodyBegin + body.length;
  }
  return made;
}

/** Each row with its offset before it: one growing buffer, digits written by hand. */
function prefixed(all: readonly Frame[]): Uint8Array {
  let out: Uint8Array = new Uint8Array(4 << 20);
  let at = 0;
  for (const frame of all) {
    const wanted = at + frame.body.length + 18 * frame.count;
    if (wanted > out.length) {
      const grown = new Uint8Array(Math.max(wanted, out.length * 2));
      grown.set(out.subarray(0, at));
      out = grown;
    }
    let offset = frame.bodyBegin;
    let from = 0;
    for (let row = 0; row < frame.count; row++) {
      let digits = 1;
      for (let bound = 10; offset >= bound; bound *= 10) digits++;
      let rest = offset;
      for (let place = at + digits - 1; place >= at; place--) {
        const next = rest < 2 ** 31 ? (rest / 10) | 0 : Math.floor(rest / 10);
        out[place] = 48 + rest - next * 10;
        rest = next;
      }
      out[at + digits] = 44;
      at += digits + 1;
      const length = frame.rowLengths[row]!;
      out.set(frame.body.subarray(from, from + length), at);
      at += length;
      from += length;
      offset += length;
    }
  }
  return out.subarray(0, at);
}

function plain(all: readonly Frame[]): Uint8Array {
  const stage = new ColumnStage();
  for (const frame of all) stage.add(frame);
  return concatBytes(stagedObject([stage]).chunks);
}

function hyparquet(all: readonly Frame[]): Uint8Array {
  const offsets: bigint[] = [];
  const columns: string[][] = [[], [], [], []];
  for (const frame of all) {
    let offset = frame.bodyBegin;
    let from = 0;
    for (const length of frame.rowLengths) {
      const row = text(frame.body.subarray(from + 1, from + length - 2));
      const values = row.replaceAll('""', "\u0000").split('","');
      for (const [i, column] of columns.entries()) column.push(values[i]!.replaceAll("\u0000", '"'));
      offsets.push(BigInt(offset));
      offset += length;
      from += length;
    }
  }
  const columnData = columns.map((data, i) => ({ name: `c${i}`, data, type: "STRING" as const }));
  const bytes = parquetWriteBuffer({
    columnData: [{ name: "_offset", data: offsets, type: "INT64" }, ...columnData],
    codec: "UNCOMPRESSED",
  });
  return new Uint8Array(bytes);
}

const FORMATS: readonly Format[] = [
  {
    name: "CSV, offset prefixed",
    make: prefixed,
    select: (path) =>
      `select 'j', * from read_csv('${path}', auto_detect=false, header=false, delim=',', quote='"', escape='"', ` +
      `new_line='\\n', max_line_size=4000000, columns={'o': 'BIGINT', 'c0': 'VARCHAR', 'c1': 'VARCHAR', ` +
      `'c2': 'VARCHAR', 'c3': 'VARCHAR'})`,
  },
  {
    name: "Parquet, hyparquet-writer",
    make: hyparquet,
    select: (path) => `select 'j', * from read_parquet('${path}')`,
  },
  {
    name: "Parquet, PLAIN pages",
    make: plain,
    select: (path) => `select 'j', * from read_parquet('${path}')`,
  },
];

async function cpuSeconds(run: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const used = process.cpuUsage(before);
  return (used.user + used.system) / 1e6;
}

function median(values: readonly number[]): string {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!.toFixed(2);
}

async function measure(
  name: string,
  all: readonly Frame[],
  perObject: number,
  rounds: number,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const rows = all.length * ROWS_PER_FRAME;
  const connection = await (await DuckDBInstance.create(join(directory, "db"), { threads: "2" })).connect();
  const samples = FORMATS.map(() => ({ make: [] as number[], load: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const [f, format] of FORMATS.entries()) {
      const objects: Uint8Array[] = [];
      const make = await cpuSeconds(() => {
        for (let at = 0; at < all.length; at += perObject / ROWS_PER_FRAME) {
          objects.push(format.make(all.slice(at, at + perObject / ROWS_PER_FRAME)));
        }
      });
      for (const [i, object] of objects.entries()) writeFileSync(join(directory, `${i}`), object);
      await connection.run(
        "create or replace table t (j varchar, o bigint, a varchar, b varchar, c varchar, d varchar)",
      );
      await connection.run("checkpoint");
      const load = await cpuSeconds(async () => {
        for (let i = 0; i < objects.length; i++) {
          await connection.run(`insert into t ${format.select(join(directory, `${i}`))}`);
        }
        await connection.run("checkpoint");
      });
      samples[f]!.make.push((make / rows) * 1e6);
      samples[f]!.load.push((load / rows) * 1e6);
    }
  }
  for (const [f, format] of FORMATS.entries()) {
    const { make, load } = samples[f]!;
    const sum = make.map((value, i) => value + load[i]!);
    const cells = [name, format.name, median(make), median(load), median(sum)];
    process.stdout.write(`| ${cells.join(" | ")} |\n`);
  }
  connection.closeSync();
  rmSync(directory, { recursive: true });
}

const rows = Number(process.argv[2] ?? 200_000);
const perObject = Number(process.argv[3] ?? 50_000);
process.stdout.write(
  "| rows | format | make, CPU us/row | load, CPU us/row | sum |\n|---|---|---|---|---|\n",
);
const small = frames(rows, (i) => ({
  date: "2001/01/10 09:00",
  delay: i % 100,
  distance: i % 3000,
  destination: "ATL",
}));
await measure("180 B", small, perObject, 5);
const wide = frames(rows / 2, (i) => ({
  id: i,
  user: `user-${i % 1000}`,
  url: `https://example.com/products/${i % 777}`,
  agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
  tags: ["a", "b", "c"],
  note: "x".repeat(60),
}));
await measure("350 B", wide, perObject, 5);
