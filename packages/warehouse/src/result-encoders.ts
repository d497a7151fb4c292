// Encodings of a result, chosen by Accept. Rows are encoded as they come from the engine, one at a time, so that only
// the encoded result is held, and no more of it than its limit: a result over a limit is an error, never a shortened
// one.
import type { DuckDBDataChunk } from "@duckdb/node-api";
import { arrowEncoder } from "./result-arrow.ts";
import type { ResultBytes } from "./result-bytes.ts";
import { csvText, jsonText, quoteCsv } from "./result-values.ts";

export interface ResultColumn {
  readonly name: string;
  /** The engine's type, e.g. `BIGINT`. */
  readonly type: string;
}

export interface ResultEncoder {
  readonly contentType: string;
  /** Adds the rows of a chunk. */
  chunk(chunk: DuckDBDataChunk): void;
  end(summary: { rows: number; elapsedMs: number }): Promise<void>;
}

/** @param columns whose names differ */
export type MakeEncoder = (columns: readonly ResultColumn[], bytes: ResultBytes) => ResultEncoder;

const ENCODERS: Readonly<Record<string, MakeEncoder>> = {
  "application/json": jsonEncoder,
  "application/x-ndjson": ndjsonEncoder,
  "text/csv": csvEncoder,
  "application/vnd.apache.arrow.stream": arrowEncoder,
};

export const OFFERED_TYPES: readonly string[] = Object.keys(ENCODERS);

interface AcceptedRange {
  readonly range: string;
  readonly quality: number;
  /** Of its place in the header. */
  readonly order: number;
}

/**
 * Encoder for an Accept header, JSON by default; undefined when nothing acceptable is offered. The greatest q wins;
 * among equals a type that is named wins over one that a pattern covers, then what the header names first.
 */
export function encoderFor(accept: string | undefined): MakeEncoder | undefined {
  if (accept === undefined || accept.trim() === "") return jsonEncoder;
  const ranges = accept.split(",").map((part, order) => acceptedRange(part, order));
  let best: AcceptedRange | undefined;
  let encoder: MakeEncoder | undefined;
  for (const [type, make] of Object.entries(ENCODERS)) {
    const found = rangeOf(type, ranges);
    if (found === undefined || found.quality === 0) continue;
    if (best !== undefined && compareRanges(found, best) >= 0) continue;
    best = found;
    encoder = make;
  }
  return encoder;
}

function acceptedRange(part: string, order: number): AcceptedRange {
  const [range, ...parameters] = part.split(";").map((each) => each.trim().toLowerCase());
  const given = parameters.find((each) => each.startsWith("q="))?.slice(2) ?? "";
  const quality = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(given) ? Number(given) : 1;
  return { range: range ?? "", quality, order };
}

/** What the header says of a type: its most specific range. */
function rangeOf(type: string, ranges: readonly AcceptedRange[]): AcceptedRange | undefined {
  for (const range of [type, `${type.slice(0, type.indexOf("/"))}/*`, "*/*"]) {
    const found = ranges.find((each) => each.range === range);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Negative when `a` is preferred. */
function compareRanges(a: AcceptedRange, b: AcceptedRange): number {
  return b.quality - a.quality || wildcards(a) - wildcards(b) || a.order - b.order;
}

function wildcards({ range }: AcceptedRange): number {
  return range.split("*").length - 1;
}

function jsonEncoder(columns: readonly ResultColumn[], bytes: ResultBytes): ResultEncoder {
  const keys = objectKeys(columns);
  let separator = "";
  bytes.text(`{"columns":${JSON.stringify(columns)},"rows":[`);
  return {
    contentType: "application/json",
    chunk(chunk) {
      for (let row = 0; row < chunk.rowCount; row++) {
        bytes.text(separator);
        separator = ",";
        objectText(bytes, keys, chunk, row);
      }
    },
    async end({ rows, elapsedMs }) {
      bytes.text(`],"rowCount":${rows},"elapsedMs":${Math.round(elapsedMs)}}\n`);
    },
  };
}

function ndjsonEncoder(columns: readonly ResultColumn[], bytes: ResultBytes): ResultEncoder {
  const keys = objectKeys(columns);
  return {
    contentType: "application/x-ndjson",
    chunk(chunk) {
      for (let row = 0; row < chunk.rowCount; row++) {
        objectText(bytes, keys, chunk, row);
        bytes.text("\n");
      }
    },
    async end() {},
  };
}

function csvEncoder(columns: readonly ResultColumn[], bytes: ResultBytes): ResultEncoder {
  bytes.text(`${columns.map((column) => quoteCsv(column.name)).join(",")}\r\n`);
  return {
    contentType: "text/csv; charset=utf-8; header=present",
    chunk(chunk) {
      for (let row = 0; row < chunk.rowCount; row++) {
        chunk.visitRowValues(row, (value, _row, column) => {
          bytes.text(column === 0 ? csvText(value) : `,${csvText(value)}`);
        });
        bytes.text("\r\n");
      }
    },
    async end() {},
  };
}

/** The columns with names that differ: an object cannot hold two values of one name, so the later ones get a suffix. */
export function distinctColumns(columns: readonly ResultColumn[]): readonly ResultColumn[] {
  const taken = new Set(columns.map(({ name }) => name));
  const seen = new Set<string>();
  return columns.map(({ name, type }) => {
    let distinct = name;
    for (let n = 1; seen.has(distinct) || (distinct !== name && taken.has(distinct)); n++)
      distinct = `${name}_${n}`;
    seen.add(distinct);
    return { name: distinct, type };
  });
}

/** `{"name":`, and `,"name":` of those after the first. */
function objectKeys(columns: readonly ResultColumn[]): readonly string[] {
  return columns.map(({ name }, i) => `${i === 0 ? "{" : ","}${JSON.stringify(name)}:`);
}

function objectText(bytes: ResultBytes, keys: readonly string[], chunk: DuckDBDataChunk, row: number): void {
  chunk.visitRowValues(row, (value, _row, column) => bytes.text(keys[column]! + jsonText(value)));
  bytes.text("}");
}
