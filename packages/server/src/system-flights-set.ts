// Reads the flight records that the package vega-datasets ships: the JSON set, then the Parquet set. A row group of
// the latter takes most of a second to decode, in one turn: only the thread of system-flights-main.ts may import this.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { decompress } from "@bokuweb/zstd-wasm";
import { assert } from "@millrace/base";
import { prepareCodecs } from "@millrace/fragments";
import { parquetMetadata, parquetRead, type FileMetaData } from "hyparquet";
import {
  concatFlights,
  JSON_FLIGHTS,
  PARQUET_FLIGHTS,
  type Flight,
  type FlightData,
} from "./demo-records.ts";

/** The JSON set, then the Parquet set, each of which is opened when it is reached. */
export function openFlights(): FlightData {
  const directory = join(packageDirectory(), "data");
  return concatFlights([
    jsonSet(join(directory, "flights-20k.json")),
    parquetSet(join(directory, "flights-3m.parquet")),
  ]);
}

function packageDirectory(): string {
  const require = createRequire(import.meta.url);
  // The package exports only its entry, which is in <package>/build.
  return dirname(dirname(require.resolve("vega-datasets")));
}

function jsonSet(path: string): FlightData {
  let opened: Promise<readonly Flight[]> | undefined;
  return {
    count: JSON_FLIGHTS,
    read: async (begin, end) => {
      opened ??= openJson(path);
      return (await opened).slice(begin, end);
    },
  };
}

async function openJson(path: string): Promise<readonly Flight[]> {
  const flights = JSON.parse(await readFile(path, "utf8")) as readonly Flight[];
  assert(flights.length === JSON_FLIGHTS, "the JSON set is the one expected", { rows: flights.length });
  return flights;
}

type Row = readonly unknown[];

interface Group {
  readonly begin: number;
  readonly rows: readonly Row[];
}

/** One row group is decoded at a time and kept, since it is read in small steps. */
function parquetSet(path: string): FlightData {
  let opened: Promise<{ file: ArrayBuffer; metadata: FileMetaData }> | undefined;
  let group: Group | undefined;
  const groupAt = async (row: number): Promise<Group> => {
    if (group !== undefined && group.begin <= row && row < group.begin + group.rows.length) return group;
    opened ??= openParquet(path);
    const { file, metadata } = await opened;
    group = await readGroup(file, metadata, row);
    return group;
  };
  return {
    count: PARQUET_FLIGHTS,
    read: async (begin, end) => {
      const flights: Flight[] = [];
      for (let at = begin; at < end;) {
        const { begin: base, rows } = await groupAt(at);
        const next = rows.slice(at - base, end - base);
        flights.push(...next.map(flightOf));
        at += next.length;
      }
      return flights;
    },
  };
}

async function openParquet(path: string): Promise<{ file: ArrayBuffer; metadata: FileMetaData }> {
  // The decoder has one instance in a thread; initialising it again would corrupt it under others.
  await prepareCodecs();
  const bytes = await readFile(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const metadata = parquetMetadata(file);
  assert(Number(metadata.num_rows) === PARQUET_FLIGHTS, "the Parquet set is the one expected", {
    rows: metadata.num_rows,
  });
  return { file, metadata };
}

async function readGroup(file: ArrayBuffer, metadata: FileMetaData, row: number): Promise<Group> {
  let begin = 0;
  for (const { num_rows: rows } of metadata.row_groups) {
    if (row < begin + Number(rows)) {
      const end = begin + Number(rows);
      return { begin, rows: await readRows(file, metadata, begin, end) };
    }
    begin += Number(rows);
  }
  throw new RangeError(`row ${row} is beyond the ${begin} rows of the set`);
}

async function readRows(
  file: ArrayBuffer,
  metadata: FileMetaData,
  rowStart: number,
  rowEnd: number,
): Promise<readonly Row[]> {
  let rows: readonly Row[] = [];
  await parquetRead({
    file,
    metadata,
    rowStart,
    rowEnd,
    columns: ["date", "delay", "distance", "origin", "destination"],
    compressors: { ZSTD: (input) => decompress(input) },
    onComplete: (all: readonly Row[]) => (rows = all),
  });
  return rows;
}

function flightOf([date, delay, distance, origin, destination]: Row): Flight {
  return {
    date: flightDate(Number(date)),
    delay: Number(delay),
    distance: Number(distance),
    origin: String(origin),
    destination: String(destination),
  };
}

/** Unix milliseconds in the form of the JSON set: `2001/01/01 00:01`. */
function flightDate(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 16).replaceAll("-", "/").replace("T", " ");
}
