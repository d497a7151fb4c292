// Columns of type `template` in Jsonnet: a program, compiled once, evaluated for each record. Its result is written as
// compact JSON; null is empty, as in a path column, and with rawString a string is its text.
//
// T1 Whatever a template does on a record, the record is refused (422) and nothing else: also when it exceeds a bound.
// T2 The bounds of a row's templates are shared, so that many columns take no longer than one; so are those of all rows
//    of a record, and of a body (mapping-budget.ts).
import { compile, JsonnetError, JsonText, LIMITS_DEFAULT, type Limits } from "@millrace/jsonnet";
import { putDecimal } from "./csv-json.ts";
import { putJsonString, putQuotedText, type RowBuffer } from "./csv-writer.ts";
import type { TemplateColumn } from "./definitions.ts";
import { ROW_BYTES_MAX } from "./limits.ts";
import type { PathTree } from "./mapping-path.ts";
import {
  type MappingFailure,
  type RecordContext,
  tooLarge,
  unprocessable,
  unreadable,
} from "./mapping-record.ts";
import { templateNatives, UnreadableBody } from "./template-natives.ts";

/**
 * Steps of all templates of a row: 50 to 500 ms, by what they do. Four templates have the bound of a program, a hundred
 * 10,000 steps.
 */
const ROW_STEPS_MAX = 1_000_000;

/** What compiling a mapping's templates needs. */
export interface TemplateScope {
  readonly tree: PathTree;
  /** Of the mapping, 1 or more. */
  readonly templates: number;
}

/**
 * Compiles a template column.
 * @throws {JsonnetError} when the template is wrong
 */
export function templateWriter(
  column: TemplateColumn,
  { tree, templates }: TemplateScope,
): (record: RecordContext, out: RowBuffer) => MappingFailure | undefined {
  const { name, template } = column;
  const raw = column.rawString === true;
  const program = compile(template.content, { natives: templateNatives(tree), limits: limitsOf(templates) });
  return (record, out) => {
    let value: string | number | boolean | null | JsonText;
    try {
      value = program.evaluateShallow(record, record.budget);
    } catch (error) {
      return failureOf(error, record, name);
    }
    if (typeof value === "string") {
      if (value.length > ROW_BYTES_MAX) return tooLarge(name);
      if (raw) putQuotedText(out, value);
      else putJsonString(out, value);
    } else if (value instanceof JsonText) {
      if (value.text.length > ROW_BYTES_MAX) return tooLarge(name);
      putQuotedText(out, value.text);
    } else if (typeof value === "number") {
      putDecimal(out, value);
    } else if (value !== null) {
      putQuotedText(out, String(value));
    }
    return undefined;
  };
}

function limitsOf(templates: number): Partial<Limits> {
  return { steps: Math.min(LIMITS_DEFAULT.steps, Math.floor(ROW_STEPS_MAX / templates)) };
}

function failureOf(error: unknown, record: RecordContext, column: string): MappingFailure {
  if (!(error instanceof JsonnetError)) throw error;
  // T1
  const failure = error.cause instanceof UnreadableBody ? unreadable(record, column) : undefined;
  const exhausted = error.kind === "limit" ? record.budget.problem() : undefined;
  return failure ?? unprocessable(column, exhausted ?? error.message);
}
