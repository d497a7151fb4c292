// Records without a door, for the tests of mappings.
import { BodyBytes, systemRandom, text, utf8 } from "@millrace/base";
import type { ProgramEvaluator } from "@millrace/jsonata";
import { localEvaluator } from "@millrace/jsonata/testkit";
import { JsonScanner } from "./body-json.ts";
import { RowBuffer } from "./csv-writer.ts";
import type { Column, TemplateColumn, TemplateLanguage } from "./definitions.ts";
import { RecordHeaders } from "./http-source-headers.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import type { MappingFailure, RecordContext } from "./mapping-record.ts";
import { RecordValues } from "./mapping-values.ts";
import { compileMapping, type CompiledMapping, type MappingRules } from "./mapping.ts";
import { evaluateRecord } from "./records-ahead.ts";

export const ACCEPTED_AT = Date.UTC(2026, 0, 2, 3, 4, 5, 67);

export function templateColumn(
  language: TemplateLanguage,
  content: string,
  rawString = false,
): TemplateColumn {
  return { type: "template", name: "c", template: { language, content }, rawString };
}

export interface GivenRecord {
  readonly body: string | Uint8Array;
  /** JSON unless it is opaque. */
  readonly opaque?: boolean;
  readonly headers?: Iterable<readonly [name: string, value: string]>;
}

/** @throws {Error} unless the body is JSON or opaque */
export function recordOf(given: GivenRecord, tree: PathTree): RecordContext {
  const bytes = typeof given.body === "string" ? utf8(given.body) : given.body;
  const scanner = new JsonScanner();
  scanner.use(tree);
  const body = new BodyBytes(bytes);
  const opaque = given.opaque === true;
  if (!opaque && !scanner.scanWhole(body, 0, bytes.length)) throw new Error(scanner.problem);
  const headers = new RecordHeaders(given.headers ?? [["Content-Type", "application/json"]]);
  return {
    acceptedAtMs: ACCEPTED_AT,
    body,
    bodyBegin: 0,
    bodyEnd: bytes.length,
    bodyIsText: false,
    kind: opaque ? "opaque" : "json",
    form: opaque ? "opaque" : "scanned",
    problem: "",
    scanner,
    values: new RecordValues(),
    evaluated: [],
    budget: new TemplateBudget(bytes.length),
    clientIp: utf8("203.0.113.7"),
    headers: () => headers,
  };
}

/** The record's row, or why it has none; then nothing may have been written. */
export function map(
  columns: readonly Column[],
  given: GivenRecord,
  rules: MappingRules = {},
): string | MappingFailure {
  const tree = new PathTree();
  const mapping = compileMapping(columns, { tree, programs: new ProgramSet(), random: systemRandom }, rules);
  return written(mapping, recordOf(given, tree));
}

/** The same of columns with programs that are evaluated before. */
export async function mapEvaluated(
  columns: readonly Column[],
  given: GivenRecord,
  evaluator: ProgramEvaluator = LOCAL,
  rules: MappingRules = {},
): Promise<string | MappingFailure> {
  const tree = new PathTree();
  const programs = new ProgramSet();
  const mapping = compileMapping(columns, { tree, programs, random: systemRandom }, rules);
  const record = recordOf(given, tree);
  record.evaluated = await evaluateRecord(record, { source: "", programs, evaluator }, () => false);
  return written(mapping, record);
}

const LOCAL = localEvaluator();

function written(mapping: CompiledMapping, record: RecordContext): string | MappingFailure {
  const out = new RowBuffer(8);
  out.put(utf8("before"));
  const failure = mapping.write(record, out);
  const row = text(out.bytes.subarray(0, out.at));
  if (!row.startsWith("before")) throw new Error(`what stood before is ${row.slice(0, 6)}`);
  if (failure !== undefined && row !== "before") throw new Error(`a failure leaves ${row}`);
  return failure ?? row.slice(6);
}
