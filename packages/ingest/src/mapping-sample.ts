// A request's row without a source: for the API's `test` and whoever edits a mapping. It goes the way of the door, with
// the same code, and is stored nowhere.
import { BodyBytes, text, utf8, type Clock, type Random } from "@millrace/base";
import type { ProgramEvaluator } from "@millrace/jsonata";
import { RowBuffer } from "./csv-writer.ts";
import type { Column } from "./definitions.ts";
import { decodeCharset, parseContentType } from "./http-source-content.ts";
import { RecordHeaders } from "./http-source-headers.ts";
import { isArrayBody, lookInto } from "./http-source-look.ts";
import { DoorRecord } from "./http-source-record.ts";
import { ArrayWalk, LineWalk, type BodyWalk, type RecordTaker } from "./http-source-walk.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import { PathTree } from "./mapping-path.ts";
import { type MappingFailure, undecodable } from "./mapping-record.ts";
import { evaluateRecord, RecordsAhead } from "./records-ahead.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { compileMapping, type CompiledMapping, type MappingRules } from "./mapping.ts";
import { Piece, type WorkTurns } from "./work-turns.ts";

/** A request as the door would get it. */
export interface SampleRecord {
  readonly acceptedAtMs: number;
  readonly clientIp: string;
  /** As received, without those that are for the API. */
  readonly headers: Iterable<readonly [name: string, value: string]>;
  /** Not compressed. */
  readonly body: Uint8Array;
}

export interface SampleRow {
  readonly columns: readonly { readonly name: string; readonly value: string }[];
}

export type SampleOutcome =
  /** One row; of a batch one for each record, as far as {@link SAMPLE_ROWS_MAX}. */
  | { readonly kind: "rows"; readonly rows: readonly SampleRow[] }
  /** The first failure. `name` is without the API's prefix. */
  | {
      readonly kind: "refused";
      readonly status: MappingFailure["status"];
      readonly name: MappingFailure["name"];
      readonly message: string;
    };

/** Rows that a person looks at. */
export const SAMPLE_ROWS_MAX = 100;

/** A step of a walk: as many records as may become rows. */
const BOUNDS = { bytes: 512 * 1024, records: SAMPLE_ROWS_MAX };

export interface SampleMapping extends MappingRules {
  readonly columns: readonly Column[];
}

export interface SamplePorts {
  /** For uuid columns. */
  readonly random: Random;
  readonly evaluator: ProgramEvaluator;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Of the process: whoever waits beside gets one too. */
  readonly turns: WorkTurns;
  readonly signal: AbortSignal;
}

/**
 * Maps what a request holds, piece by piece.
 * @param budget that the templates of the request have left @throws the signal's reason
 */
export async function sampleRows(
  { columns, ...rules }: SampleMapping,
  { acceptedAtMs, clientIp, headers: lines, body }: SampleRecord,
  { random, evaluator, clock, turns, signal }: SamplePorts,
  budget = new TemplateBudget(body.length),
): Promise<SampleOutcome> {
  const tree = new PathTree();
  const programs = new ProgramSet();
  const mapping = compileMapping(columns, { tree, programs, random }, rules);
  const headers = new RecordHeaders(lines);
  const type = headers.get("Content-Type") ?? "";
  const content = parseContentType(type);
  if (content === undefined) {
    const message = `Content type "${type}" has an unknown charset.`;
    return { kind: "refused", status: 415, name: "unsupportedMediaType", message };
  }
  const decoded = content.charset === undefined ? body : decodeCharset(content.charset, body);
  const record = new DoorRecord();
  record.scanner.use(tree);
  record.startRequest(acceptedAtMs, utf8(clientIp), headers, budget);
  const sample = new Sample(columns, mapping, record);
  const whole = { body: new BodyBytes(decoded ?? body), begin: 0, end: (decoded ?? body).length };
  const piece = new Piece(clock, mapping.hasTemplates);
  const walked = { ...whole, piece, bounds: BOUNDS };
  const bounds = { recordBytesMax: Number.POSITIVE_INFINITY, recordsMax: SAMPLE_ROWS_MAX };
  const ahead = new RecordsAhead(record, sample, { source: "", programs, evaluator, piece, ...bounds });
  const refuse = (problem: string): void => sample.refuse(undecodable(mapping.readingColumn, problem));
  record.kind = "json";
  record.form = "scanned";
  record.bodyIsText = true;
  await turns.next();
  let walk: BodyWalk | undefined;
  if (decoded === undefined) {
    const problem = `the body is not ${content.charset}`;
    if (content.kind === "ndjson") refuse(problem);
    else ahead.writeUndecodable(whole.body, whole, problem);
  } else if (content.kind === "ndjson") {
    walk = new LineWalk(walked, record.scanner, ahead);
  } else if (content.kind === "json" && isArrayBody(decoded, 0, decoded.length)) {
    walk = new ArrayWalk(
      walked,
      record.scanner,
      () => ahead,
      ({ problem, at }) => refuse(`invalid JSON: ${problem} at position ${at}`),
    );
  } else {
    record.start(whole.body, 0, decoded.length);
    lookInto(record, content.kind);
    record.evaluated = await evaluateRecord(record, { source: "", programs, evaluator }, () => false);
    sample.write(whole.body, 0, decoded.length);
    return sample.outcome();
  }
  for (let isDone = false; !isDone && !sample.isDone;) {
    signal.throwIfAborted();
    isDone = walk?.step() ?? true;
    await ahead.evaluate(() => signal.aborted);
    do await turns.next();
    while (!ahead.flush());
  }
  return sample.outcome();
}

class Sample implements RecordTaker {
  readonly #columns: readonly Column[];
  readonly #mapping: CompiledMapping;
  readonly #record: DoorRecord;
  readonly #out = new RowBuffer(4096);
  readonly #rows: SampleRow[] = [];
  #failure: MappingFailure | undefined;

  constructor(columns: readonly Column[], mapping: CompiledMapping, record: DoorRecord) {
    this.#columns = columns;
    this.#mapping = mapping;
    this.#record = record;
  }

  /** What follows changes nothing. */
  get isDone(): boolean {
    return this.#failure !== undefined || this.#rows.length === SAMPLE_ROWS_MAX;
  }

  write(body: BodyBytes, begin: number, end: number): void {
    if (this.isDone) return;
    this.#record.start(body, begin, end);
    this.#out.at = 0;
    this.#failure = this.#mapping.write(this.#record, this.#out);
    this.#record.end();
    if (this.#failure !== undefined) return;
    const values = valuesOf(text(this.#out.bytes.subarray(0, this.#out.at)));
    const columns = this.#columns.map(({ name }, i) => ({ name, value: values[i]! }));
    this.#rows.push({ columns });
  }

  writeUndecodable(
    body: BodyBytes,
    { begin, end }: { readonly begin: number; readonly end: number },
    problem: string,
  ): void {
    this.#record.whileRefused(problem, () => this.write(body, begin, end));
  }

  close(): void {
    // The rows are there already.
  }

  refuse(failure: MappingFailure): void {
    this.#failure ??= failure;
  }

  outcome(): SampleOutcome {
    if (this.#failure === undefined) return { kind: "rows", rows: this.#rows };
    const { status, name, message } = this.#failure;
    return { kind: "refused", status, name, message };
  }
}

/** The values of a CSV row as this package writes it. */
function valuesOf(row: string): string[] {
  const values: string[] = [];
  for (let at = 0; at < row.length - 1;) {
    let end = row.indexOf('"', at + 1);
    while (row[end + 1] === '"') end = row.indexOf('"', end + 2);
    values.push(row.slice(at + 1, end).replaceAll('""', '"'));
    at = end + 2;
  }
  return values;
}
