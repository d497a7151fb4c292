// Mapping: from a record to a CSV row (keboola-stream specification, section 3), compiled once per sink version into
// one closure per column. A row is written straight into the frame that is being filled; a record that cannot be
// mapped leaves no trace there.
import { type BodyBytes, type Random, sizeText, utf8 } from "@millrace/base";
import { KIND, type JsonScanner } from "./body-json.ts";
import { isUtf8 } from "./body-utf8.ts";
import { putScanned } from "./csv-json.ts";
import { csvValue, putPlainBytes, putQuotedBody, putQuotedBytes, type RowBuffer } from "./csv-writer.ts";
import type { Column } from "./definitions.ts";
import { ROW_BYTES_MAX } from "./limits.ts";
import { parsePath, type PathTree } from "./mapping-path.ts";
import { UuidWriter } from "./mapping-uuid.ts";

/** Why a record is not mapped. `name` is the error's name without `stream.in.`. */
export interface MappingFailure {
  readonly status: 413 | 415 | 422;
  readonly name: "payloadTooLarge" | "unsupportedMediaType" | "unprocessableContent";
  readonly column: string;
  readonly message: string;
}

/** How the body's content can be looked into. */
export type BodyForm =
  /** The scanner holds the record's values. */
  | "scanned"
  /** Its content type is not one that can be parsed. */
  | "opaque";

/** What a mapping reads of a record. The door refills one object for each record; a mapping keeps nothing of it. */
export interface RecordContext {
  acceptedAtMs: number;
  /** The record as it was received: body[bodyBegin, bodyEnd). */
  body: BodyBytes;
  bodyBegin: number;
  bodyEnd: number;
  /** Known to be UTF-8. */
  bodyIsText: boolean;
  form: BodyForm;
  readonly scanner: JsonScanner;
  /** The client's address in ASCII. */
  clientIp: Uint8Array;
  /** JSON object of the request's headers: canonical names, sorted, the first value of each. */
  headersJson(): Uint8Array;
}

export interface CompiledMapping {
  /** Whether a column looks into the body. */
  readonly readsBody: boolean;
  /** The first column that does, for messages about bodies that cannot be read. */
  readonly readingColumn: string | undefined;
  /** Appends the record's row to `out`; on failure `out` is as it was. */
  write(record: RecordContext, out: RowBuffer): MappingFailure | undefined;
}

type ColumnWriter = (record: RecordContext, out: RowBuffer) => MappingFailure | undefined;

const QUOTE = 0x22;
const COMMA = 0x2c;
const NEWLINE = 0x0a;

/**
 * @param tree paths of all mappings that share a scanner; this mapping's are added
 * @param random for uuid columns
 * @throws {InvariantError} on a path that the definition's validation would have refused
 */
export function compileMapping(columns: readonly Column[], tree: PathTree, random: Random): CompiledMapping {
  const writers = columns.map((column) => compileColumn(column, tree, random));
  const tooBig = columns.map((column) => tooBigFailure(column.name));
  const readingColumn = columns.find((column) => column.type === "path")?.name;
  return {
    readsBody: readingColumn !== undefined,
    readingColumn,
    write: (record, out) => {
      const begin = out.at;
      for (let i = 0; i < writers.length; i++) {
        out.reserve(3);
        if (i > 0) out.bytes[out.at++] = COMMA;
        out.bytes[out.at++] = QUOTE;
        let failure = writers[i]!(record, out);
        if (failure === undefined && out.at - begin > ROW_BYTES_MAX) failure = tooBig[i];
        if (failure !== undefined) {
          out.at = begin;
          return failure;
        }
        out.reserve(2);
        out.bytes[out.at++] = QUOTE;
      }
      out.bytes[out.at++] = NEWLINE;
      return undefined;
    },
  };
}

function compileColumn(column: Column, tree: PathTree, random: Random): ColumnWriter {
  switch (column.type) {
    case "uuid": {
      const ids = new UuidWriter(random);
      return (record, out) => {
        ids.put(out, record.acceptedAtMs);
        return undefined;
      };
    }
    case "datetime":
      return datetimeWriter();
    case "ip":
      return (record, out) => {
        out.put(record.clientIp);
        return undefined;
      };
    case "headers":
      return (record, out) => {
        const headers = record.headersJson();
        putQuotedBytes(out, headers, 0, headers.length);
        return undefined;
      };
    case "body":
      return bodyWriter(column.name);
    case "path":
      return pathWriter(column, tree);
  }
}

function datetimeWriter(): ColumnWriter {
  let ms = Number.NaN;
  let text: Uint8Array = new Uint8Array(0);
  return (record, out) => {
    if (record.acceptedAtMs !== ms) {
      ms = record.acceptedAtMs;
      text = utf8(new Date(ms).toISOString());
    }
    out.put(text);
    return undefined;
  };
}

function bodyWriter(column: string): ColumnWriter {
  const malformed = unprocessable(column, "the body is not UTF-8");
  return (record, out) => {
    if (!record.bodyIsText && !isUtf8(record.body.bytes, record.bodyBegin, record.bodyEnd)) return malformed;
    putQuotedBody(out, record.body, record.bodyBegin, record.bodyEnd);
    return undefined;
  };
}

function pathWriter(column: Column & { readonly type: "path" }, tree: PathTree): ColumnWriter {
  const path = parsePath(column.path);
  if (path.kind === "invalid") throw new Error(`column "${column.name}": ${path.reason}`);
  const slot = tree.slotOf(path.steps);
  const raw = column.rawString === true;
  const missing = unprocessable(column.name, `path "${column.path}" not found in the body`);
  const unconvertible = unprocessable(column.name, `cannot convert column "${column.name}" to CSV value`);
  const opaque: MappingFailure = {
    status: 415,
    name: "unsupportedMediaType",
    column: column.name,
    message: `Column "${column.name}" needs a JSON or form body.`,
  };
  const fallback = defaultOf(column, raw);
  return (record, out) => {
    if (record.form === "opaque") return opaque;
    if (record.scanner.kinds[slot] === KIND.missing) {
      if (fallback === undefined) return missing;
      putPlainBytes(out, fallback, 1, fallback.length - 1);
      return undefined;
    }
    return putScanned(out, record.scanner, slot, raw) ? undefined : unconvertible;
  };
}

/** The default as a CSV value with its quotes. */
function defaultOf(column: Column & { readonly type: "path" }, raw: boolean): Uint8Array | undefined {
  if (column.defaultValue === undefined) return undefined;
  return csvValue(utf8(raw ? column.defaultValue : JSON.stringify(column.defaultValue)));
}

function unprocessable(column: string, reason: string): MappingFailure {
  return {
    status: 422,
    name: "unprocessableContent",
    column,
    message: `Invalid value for column "${column}": ${reason}.`,
  };
}

/** The record's body is not what its content type says. */
export function undecodable(column: string | undefined, reason: string): MappingFailure {
  if (column !== undefined) return unprocessable(column, reason);
  const message = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;
  return { status: 422, name: "unprocessableContent", column: "", message };
}

function tooBigFailure(column: string): MappingFailure {
  return {
    status: 413,
    name: "payloadTooLarge",
    column,
    message: `Too big CSV row, column: "${column}", row limit: ${sizeText(ROW_BYTES_MAX)}.`,
  };
}
