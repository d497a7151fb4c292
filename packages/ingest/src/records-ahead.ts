// Records of which programs have to be evaluated before they can be mapped. The walk through a body finds the records
// of a step; their programs are evaluated in other processes, while others have their turns here; then the records are
// given to whoever takes them.
//
// A1 The taker gets the records in their order, once each, as a walk without programs would have given them.
// A2 Of a body no more than a step is held besides the body itself.
import type { BodyBytes } from "@millrace/base";
import type { ProgramEvaluator, ProgramResult, RecordInput } from "@millrace/jsonata";
import type { DoorRecord } from "./http-source-record.ts";
import type { RecordTaker } from "./http-source-walk.ts";
import type { ProgramSet } from "./mapping-programs.ts";
import type { RecordContext } from "./mapping-record.ts";
import type { Piece } from "./work-turns.ts";

/** Programs of records, and who evaluates them. */
export interface Evaluated {
  /** Whose records they are. */
  readonly source: string;
  readonly programs: ProgramSet;
  readonly evaluator: ProgramEvaluator;
}

export interface AheadOptions extends Evaluated {
  /** Longer records are refused by the taker, and not evaluated. */
  readonly recordBytesMax: number;
  /** Ends a flush that takes too long. */
  readonly piece: Piece;
  /** The taker wants no more than the first ones. */
  readonly recordsMax?: number;
}

/** What the programs make of one record, which may be another's before that is known. */
export async function evaluateRecord(
  record: RecordContext,
  { source, programs, evaluator }: Evaluated,
  isOver: () => boolean,
): Promise<readonly ProgramResult[]> {
  if (programs.count === 0) return [];
  const records = [programs.inputOf(record)];
  const { programs: contents, steps } = programs;
  const [results] = await evaluator.evaluate({ source, programs: contents, steps, records, isOver });
  return results!;
}

interface Found {
  readonly body: BodyBytes;
  readonly begin: number;
  readonly end: number;
  /** Why it cannot be looked into. */
  readonly problem: string | undefined;
  /** Its place among what is evaluated. */
  readonly index: number | undefined;
}

export class RecordsAhead implements RecordTaker {
  readonly #record: DoorRecord;
  readonly #taker: RecordTaker;
  readonly #options: AheadOptions;
  #found: Found[] = [];
  /** How many of these the taker has. */
  #given = 0;
  #inputs: RecordInput[] = [];
  #results: readonly (readonly ProgramResult[])[] = [];
  #isClosed = false;

  /** @param record that the walk's scanner belongs to */
  constructor(record: DoorRecord, taker: RecordTaker, options: AheadOptions) {
    this.#record = record;
    this.#taker = taker;
    this.#options = options;
  }

  write(body: BodyBytes, begin: number, end: number): void {
    this.#find(body, begin, end, undefined);
  }

  writeUndecodable(
    body: BodyBytes,
    { begin, end }: { readonly begin: number; readonly end: number },
    problem: string,
  ): void {
    this.#record.whileRefused(problem, () => this.#find(body, begin, end, problem));
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Evaluates what was found; the record may be another's meanwhile. @returns whether there was anything */
  async evaluate(isOver: () => boolean): Promise<boolean> {
    if (this.#inputs.length === 0) return false;
    const { source, programs, evaluator } = this.#options;
    const records = this.#inputs;
    this.#inputs = [];
    const job = { source, programs: programs.programs, steps: programs.steps, records, isOver };
    this.#results = await evaluator.evaluate(job);
    return true;
  }

  /**
   * Gives to the taker what was found and evaluated, for as long as a piece of work may take; the record is the body's
   * again. @returns whether that was all
   */
  flush(): boolean {
    const { piece } = this.#options;
    piece.begin();
    while (this.#given < this.#found.length) {
      this.#give(this.#found[this.#given++]!);
      if (piece.isOver()) break;
    }
    this.#record.evaluated = [];
    if (this.#given < this.#found.length) return false;
    this.#found = [];
    this.#results = [];
    this.#given = 0;
    if (this.#isClosed) this.#taker.close();
    return true;
  }

  #give({ body, begin, end, problem, index }: Found): void {
    this.#record.evaluated = index === undefined ? [] : this.#results[index]!;
    if (problem !== undefined) {
      this.#taker.writeUndecodable(body, { begin, end }, problem);
      return;
    }
    this.#record.scanner.scanWhole(body, begin, end);
    this.#taker.write(body, begin, end);
  }

  #find(body: BodyBytes, begin: number, end: number, problem: string | undefined): void {
    const { recordBytesMax, recordsMax = Number.POSITIVE_INFINITY } = this.#options;
    const isEvaluated = end - begin <= recordBytesMax && this.#inputs.length < recordsMax;
    const index = isEvaluated ? this.#inputs.length : undefined;
    this.#found.push({ body, begin, end, problem, index });
    if (!isEvaluated) return;
    this.#record.start(body, begin, end);
    this.#inputs.push(this.#options.programs.inputOf(this.#record));
  }
}
