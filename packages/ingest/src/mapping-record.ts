// What a mapping reads of a record, and why a record is not mapped.
import { type BodyBytes, sizeText } from "@millrace/base";
import type { ProgramResult } from "@millrace/jsonata";
import type { JsonScanner } from "./body-json.ts";
import type { BodyKind } from "./http-source-content.ts";
import type { RecordHeaders } from "./http-source-headers.ts";
import { ROW_BYTES_MAX } from "./limits.ts";
import type { TemplateBudget } from "./mapping-budget.ts";
import type { RecordValues } from "./mapping-values.ts";

/** Why a record is not mapped. `name` is the error's name without `stream.in.`. */
export interface MappingFailure {
  readonly status: 413 | 415 | 422 | 503;
  readonly name: "payloadTooLarge" | "unsupportedMediaType" | "unprocessableContent" | "pipelineNotReady";
  readonly column: string;
  readonly message: string;
}

/** How the body's content can be looked into. */
export type BodyForm =
  /** The scanner holds the record's values. */
  | "scanned"
  /** It is not what its content type says: `problem` has the reason. */
  | "undecodable"
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
  /** What its content type says of the body. */
  kind: BodyKind;
  form: BodyForm;
  /** Of an undecodable body. */
  problem: string;
  readonly scanner: JsonScanner;
  /** What was made of the body so far, for all who ask again. */
  readonly values: RecordValues;
  /** What its templates may still take. */
  readonly budget: TemplateBudget;
  /** What the programs of the record's mappings have made of it, by slot (mapping-programs.ts). */
  evaluated: readonly ProgramResult[];
  /** The client's address in ASCII. */
  clientIp: Uint8Array;
  headers(): RecordHeaders;
}

/** Why the content of `record` cannot be looked into for `column`; undefined when it can. */
export function unreadable(record: RecordContext, column: string): MappingFailure | undefined {
  switch (record.form) {
    case "scanned":
      return undefined;
    case "undecodable":
      return unprocessable(column, record.problem);
    case "opaque":
      return {
        status: 415,
        name: "unsupportedMediaType",
        column,
        message: `Column "${column}" needs a JSON or form body.`,
      };
  }
}

/** The column makes a row longer than any may be. */
export function tooLarge(column: string): MappingFailure {
  const message = `Too big CSV row, column: "${column}", row limit: ${sizeText(ROW_BYTES_MAX)}.`;
  return { status: 413, name: "payloadTooLarge", column, message };
}

export function unprocessable(column: string, reason: string): MappingFailure {
  return {
    status: 422,
    name: "unprocessableContent",
    column,
    message: `Invalid value for column "${column}": ${reason}${/[.!?]$/.test(reason) ? "" : "."}`,
  };
}

/** No record of the body can be told from another. @param column that looks into bodies, if there is one */
export function undecodable(column: string | undefined, reason: string): MappingFailure {
  if (column !== undefined) return unprocessable(column, reason);
  const message = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;
  return { status: 422, name: "unprocessableContent", column: "", message };
}
