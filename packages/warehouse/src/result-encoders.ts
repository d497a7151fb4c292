// Encodings of a result, chosen by Accept. Chunks are encoded as they come from the engine, so that only the encoded
// result is held until it is known to be within its limits: a result over a limit is an error, never a shortened one.
import type { DuckDBDataChunk } from "@duckdb/node-api";
import { utf8 } from "@millrace/base";
import { arrowEncoder } from "./result-arrow.ts";
import { csvText, jsonText, quoteCsv } from "./result-values.ts";

export interface ResultColumn {
  readonly name: string;
  /** The engine's type, e.g. `BIGINT`. */
  readonly type: string;
}

export interface ResultEncoder {
  readonly contentType: string;
  /** Adds a chunk; returns bytes that are ready. */
  chunk(chunk: DuckDBDataChunk): Uint8Array;
  end(summary: { rows: number; elapsedMs: number }): Uint8Array;
}

type MakeEncoder = (columns: readonly ResultColumn[]) => ResultEncoder;

const ENCODERS: Readonly<Record<string, MakeEncoder>> = {
  "application/json": jsonEncoder,
  "application/x-ndjson": ndjsonEncoder,
  "text/csv": csvEncoder,
  "application/vnd.apache.arrow.stream": arrowEncoder,
};

/** Encoder for an Accept header, JSON by default; undefined when nothing acceptable is offered. */
export function encoderFor(accept: string | undefined): MakeEncoder | undefined {
  if (accept === undefined || accept.trim() === "") return jsonEncoder;
  for (const part of accept.split(",")) {
    const type = part.split(";")[0]?.trim().toLowerCase() ?? "";
    if (type === "*/*" || type === "application/*") return jsonEncoder;
    if (type === "text/*") return csvEncoder;
    const found = ENCODERS[type];
    if (found !== undefined) return found;
  }
  return undefined;
}

export const OFFERED_TYPES: readonly string[] = Object.keys(ENCODERS);

function jsonEncoder(columns: readonly ResultColumn[]): ResultEncoder {
  const keys = objectKeys(columns);
  let head: string | undefined = `{"columns":${JSON.stringify(columns)},"rows":[`;
  let separator = "";
  return {
    contentType: "application/json",
    chunk(chunk) {
      let out = head ?? "";
      head = undefined;
      for (const row of chunk.getRows()) {
        out += separator + objectText(keys, row);
        separator = ",";
      }
      return utf8(out);
    },
    end({ rows, elapsedMs }) {
      return utf8(`${head ?? ""}],"rowCount":${rows},"elapsedMs":${Math.round(elapsedMs)}}\n`);
    },
  };
}

function ndjsonEncoder(columns: readonly ResultColumn[]): ResultEncoder {
  const keys = objectKeys(columns);
  return {
    contentType: "application/x-ndjson",
    chunk: (chunk) =>
      utf8(
        chunk
          .getRows()
          .map((row) => `${objectText(keys, row)}\n`)
          .join(""),
      ),
    end: () => new Uint8Array(),
  };
}

function csvEncoder(columns: readonly ResultColumn[]): ResultEncoder {
  let head = `${columns.map((column) => quoteCsv(column.name)).join(",")}\r\n`;
  return {
    contentType: "text/csv; charset=utf-8; header=present",
    chunk(chunk) {
      const rows = chunk.getRows().map((row) => `${row.map((value) => csvText(value)).join(",")}\r\n`);
      const out = head + rows.join("");
      head = "";
      return utf8(out);
    },
    end: () => utf8(head),
  };
}

/** `"name":` of each column; equal names get a suffix, since an object cannot hold both. */
function objectKeys(columns: readonly ResultColumn[]): readonly string[] {
  const taken = new Set(columns.map(({ name }) => name));
  const seen = new Set<string>();
  return columns.map(({ name }) => {
    let key = name;
    for (let n = 1; seen.has(key) || (key !== name && taken.has(key)); n++) key = `${name}_${n}`;
    seen.add(key);
    return `${JSON.stringify(key)}:`;
  });
}

type Row = ReturnType<DuckDBDataChunk["getRows"]>[number];

function objectText(keys: readonly string[], row: Row): string {
  let out = "{";
  for (const [i, key] of keys.entries()) {
    if (i > 0) out += ",";
    out += key + jsonText(row[i] ?? null);
  }
  return `${out}}`;
}
