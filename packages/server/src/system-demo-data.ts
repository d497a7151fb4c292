// Reads the flight records that the package vega-datasets ships.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { decompress } from "@bokuweb/zstd-wasm";
import { assert } from "@millrace/base";
import { prepareCodecs } from "@millrace/fragments";
import { parquetMetadata, parquetRead, type FileMetaData } from "hyparquet";
import { concatFlights, type Flight, type FlightData } from "./demo-records.ts";

/** The JSON set, then the Parquet set, which is opened when it is reached. */
export async function openDemoData(): Promise<FlightData> {
  const directory = join(packageDirectory(), "data");
  const json = await openJson(join(directory, "flights-20k.json"));
  return concatFlights([json, parquetSet(join(directory, "flights-3m.parquet"))]);
}

function packageDirectory(): string {
  const require = createRequire(import.meta.url);
  // The package exports only its entry, which is in <package>/build.
  return dirname(dirname(require.resolve("vega-datasets")));
}

async function openJson(file: string): Promise<FlightData> {
  const flights = JSON.parse(await readFile(file, "utf8")) as readonly Flight[];
  return { count: flights.length, read: (begin, end) => Promise.resolve(flights.slice(begin, end)) };
}

/** Rows of the Parquet set, known beforehand so that the file is read only when the replay gets there. */
const PARQUET_ROWS = 3_000_000;

interface Group {
  readonly begin: number;
  readonly flights: readonly Flight[];
}

/** One row group is decoded at a time and kept, since it is read in small steps. */
function parquetSet(path: string): FlightData {
  let opened: Promise<{ file: ArrayBuffer; metadata: FileMetaData }> | undefined;
  let group: Group | undefined;
  const groupAt = async (row: number): Promise<Group> => {
    if (group !== undefined && group.begin <= row && row < group.begin + group.flights.length) return group;
    opened ??= openParquet(path);
    const { file, metadata } = await opened;
    group = await readGroup(file, metadata, row);
    return group;
  };
  return {
    count: PARQUET_ROWS,
    read: async (begin, end) => {
      const flights: Flight[] = [];
      for (let at = begin; at < end;) {
        const { begin: base, flights: some } = await groupAt(at);
        const next = some.slice(at - base, end - base);
        flights.push(...next);
        at += next.length;
      }
      return flights;
    },
  };
}

async function openParquet(path: string): Promise<{ file: ArrayBuffer; metadata: FileMetaData }> {
  // The decoder has one instance in a process; initialising it again would corrupt it under others.
  await prepareCodecs();
  const bytes = await readFile(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const metadata = parquetMetadata(file);
  assert(Number(metadata.num_rows) === PARQUET_ROWS, "the Parquet set is the one expected", {
    rows: metadata.num_rows,
  });
  return { file, metadata };
}

async function readGroup(file: ArrayBuffer, metadata: FileMetaData, row: number): Promise<Group> {
  let begin = 0;
  for (const { num_rows: rows } of metadata.row_groups) {
    if (row < begin + Number(rows)) {
      const end = begin + Number(rows);
      return { begin, flights: await readRows(file, metadata, begin, end) };
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
): Promise<readonly Flight[]> {
  const flights: Flight[] = [];
  await parquetRead({
    file,
    metadata,
    rowStart,
    rowEnd,
    columns: ["date", "delay", "distance", "origin", "destination"],
    compressors: { ZSTD: (input) => decompress(input) },
    onComplete: (rows: readonly (readonly unknown[])[]) => {
      for (const [date, delay, distance, origin, destination] of rows) {
        flights.push({
          date: flightDate(Number(date)),
          delay: Number(delay),
          distance: Number(distance),
          origin: String(origin),
          destination: String(destination),
        });
      }
    },
  });
  return flights;
}

/** Unix milliseconds in the form of the JSON set: `2001/01/01 00:01`. */
function flightDate(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 16).replaceAll("-", "/").replace("T", " ");
}
