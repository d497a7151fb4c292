// Mapping: from a record to a CSV row (keboola-stream specification, section 3), compiled once per sink version into
// one closure per column. A row is written straight into the frame that is being filled; a record that cannot be
// mapped leaves no trace there.
import { type Random, utf8 } from "@millrace/base";
import { KIND } from "./body-json.ts";
import { isUtf8 } from "./body-utf8.ts";
import { putScanned } from "./csv-json.ts";
import { csvValue, putPlainBytes, putQuotedBody, putQuotedBytes, type RowBuffer } from "./csv-writer.ts";
import type { Column } from "./definitions.ts";
import { ROW_BYTES_MAX } from "./limits.ts";
import { parsePath, type PathTree } from "./mapping-path.ts";
import type { ProgramSet } from "./mapping-programs.ts";
import {
  type MappingFailure,
  type RecordContext,
  tooLarge,
  unprocessable,
  unreadable,
} from "./mapping-record.ts";
import { evaluatedWriter } from "./mapping-evaluated.ts";
import { templateWriter } from "./mapping-template.ts";
import { UuidWriter } from "./mapping-uuid.ts";

export interface CompiledMapping {
  /** The first column that looks into bodies, or may do so: for messages about those of which no record is known. */
  readonly readingColumn: string | undefined;
  /** Some column is evaluated while a record is mapped: a single one may take milliseconds. */
  readonly hasTemplates: boolean;
  /** Appends the record's row to `out`; on failure `out` is as it was. */
  write(record: RecordContext, out: RowBuffer): MappingFailure | undefined;
}

/** What the table of a sink asks of its rows. */
export interface MappingRules {
  /** Its text may have the character NUL; where not, a record that would bring one is refused. Default: it may. */
  readonly takesNul?: boolean;
}

type ColumnWriter = (record: RecordContext, out: RowBuffer) => MappingFailure | undefined;

const QUOTE = 0x22;
const COMMA = 0x2c;
const NEWLINE = 0x0a;

/** What the mappings that share a record share; a mapping adds to it. */
export interface MappingScope {
  /** Paths that the scanner looks for. */
  readonly tree: PathTree;
  /** Programs that are evaluated before the record is mapped. */
  readonly programs: ProgramSet;
  /** For uuid columns. */
  readonly random: Random;
}

/**
 * A column that the definition's validation would have refused, such as one of another version of the platform, refuses
 * its records: other sinks do not suffer.
 */
export function compileMapping(
  columns: readonly Column[],
  scope: MappingScope,
  { takesNul = true }: MappingRules = {},
): CompiledMapping {
  const templates = columns.filter((column) => column.type === "template").length;
  const writers = columns.map((column) => {
    try {
      const writer = compileColumn(column, { ...scope, templates });
      return takesNul || !mayHaveNul(column) ? writer : nulRefuser(column.name, writer);
    } catch (error) {
      return brokenWriter(column.name, error);
    }
  });
  const tooBig = columns.map((column) => tooLarge(column.name));
  const readingColumn = columns.find((column) => column.type === "path" || column.type === "template")?.name;
  const hasTemplates = columns.some(
    (column) => column.type === "template" && column.template.language !== "jsonata",
  );
  return {
    readingColumn,
    hasTemplates,
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

interface ColumnScope extends MappingScope {
  /** Columns of the mapping that are templates. */
  readonly templates: number;
}

/** @throws {Error} when the column is not valid */
function compileColumn(column: Column, scope: ColumnScope): ColumnWriter {
  switch (column.type) {
    case "uuid": {
      const ids = new UuidWriter(scope.random);
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
        const headers = record.headers().json();
        putQuotedBytes(out, headers, 0, headers.length);
        return undefined;
      };
    case "body":
      return bodyWriter(column.name);
    case "path":
      return pathWriter(column, scope.tree);
    case "template":
      if (column.template.language === "jsonata") return evaluatedWriter(column, scope.programs);
      return templateWriter(column, scope);
  }
}

/** JSON has NUL escaped; what a client gives as text may have it as it is. */
function mayHaveNul(column: Column): boolean {
  if (column.type === "path" || column.type === "template") return column.rawString === true;
  return column.type === "body";
}

function nulRefuser(column: string, write: ColumnWriter): ColumnWriter {
  const failure = unprocessable(column, "it has the character NUL, which the sink's target has no text with");
  return (record, out) => {
    const begin = out.at;
    return write(record, out) ?? (out.bytes.subarray(begin, out.at).includes(0) ? failure : undefined);
  };
}

function brokenWriter(column: string, error: unknown): ColumnWriter {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `Column "${column}" cannot be filled by this version: ${reason}.`;
  const failure: MappingFailure = { status: 503, name: "pipelineNotReady", column, message };
  return () => failure;
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
  if (path.kind === "invalid") throw new Error(`path "${column.path}" is invalid: ${path.reason}`);
  const slot = tree.slotOf(path.steps);
  const raw = column.rawString === true;
  const missing = unprocessable(column.name, `path "${column.path}" not found in the body`);
  const unconvertible = unprocessable(column.name, `cannot convert column "${column.name}" to CSV value`);
  const fallback = defaultOf(column, raw);
  return (record, out) => {
    if (record.form !== "scanned") return unreadable(record, column.name);
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
