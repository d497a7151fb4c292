// Finds the records of a body that holds many, in bounded steps: a body of millions of tiny records may not keep every
// other request, and the log, waiting.
//
// K1 Lines without anything in them are no records and have no index.
// K2 An array is looked through before anything of it is written: if it is not JSON, nothing of it is accepted.
// K3 Between steps the scanner may serve others; nothing but the place in the body is kept.
import type { BodyBytes } from "@millrace/base";
import type { JsonScanner } from "./body-json.ts";
import type { Piece } from "./work-turns.ts";

/** Who takes the records that are found. */
export interface RecordTaker {
  /** The scanner holds the record's values; it lies in body[begin, end). */
  write(body: BodyBytes, begin: number, end: number): void;
  /** A line that is not JSON. */
  writeUndecodable(
    body: BodyBytes,
    line: { readonly begin: number; readonly end: number },
    problem: string,
  ): void;
  /** There are no more. */
  close(): void;
}

/** Records from body[begin, end), given to a taker. */
export interface BodyWalk {
  /** Goes on for a step. @returns whether the body is done */
  step(): boolean;
}

export interface WalkedBody {
  readonly body: BodyBytes;
  readonly begin: number;
  readonly end: number;
  /** Ends a step that takes too long. */
  readonly piece: Piece;
  readonly bounds?: StepBounds;
}

/** A step ends behind the record that reaches one of these. */
export interface StepBounds {
  readonly bytes: number;
  readonly records: number;
}

/** Some milliseconds, unless a record takes long. */
const STEP: StepBounds = { bytes: 512 * 1024, records: 4000 };

const LF = 0x0a;
const COMMA = 0x2c;
const ARRAY_END = 0x5d;

/** NDJSON: a record in each line. */
export class LineWalk implements BodyWalk {
  readonly #walked: WalkedBody;
  readonly #scanner: JsonScanner;
  readonly #batch: RecordTaker;
  #at: number;

  constructor(walked: WalkedBody, scanner: JsonScanner, batch: RecordTaker) {
    this.#walked = walked;
    this.#scanner = scanner;
    this.#batch = batch;
    this.#at = walked.begin;
  }

  step(): boolean {
    const { body, end, piece, bounds = STEP } = this.#walked;
    const { bytes } = body;
    const scanner = this.#scanner;
    piece.begin();
    const stop = this.#at + bounds.bytes;
    let at = this.#at;
    for (let records = 0; at < end; records++) {
      const first = bytes[at]!;
      if (at >= stop || records === bounds.records || (records > 0 && piece.isOver())) {
        this.#at = at;
        return false;
      }
      if (first === LF || first === 0x20 || first === 0x0d || first === 0x09) {
        at++; // K1
        continue;
      }
      const after = scanner.scan(body, at, end, true);
      if (after >= 0 && (after === end || bytes[after] === LF)) {
        this.#batch.write(body, scanner.valueBegin, scanner.valueEnd);
        at = after + 1;
        continue;
      }
      const problem = after < 0 ? scanner.problem : "unexpected data after the value";
      const problemAt = (after < 0 ? scanner.problemAt : after) - at;
      const newline = bytes.indexOf(LF, at);
      const lineEnd = newline < 0 || newline >= end ? end : newline;
      const line = { begin: at, end: withoutSpace(bytes, at, lineEnd) };
      this.#batch.writeUndecodable(body, line, `invalid JSON: ${problem} at position ${problemAt}`);
      at = lineEnd === end ? end : lineEnd + 1;
    }
    this.#batch.close();
    return true;
  }
}

/** What is wrong with an array, and at which position in the body. */
export interface ArrayProblem {
  readonly problem: string;
  readonly at: number;
}

/** The elements of the array that is the whole of the body. */
export class ArrayWalk implements BodyWalk {
  readonly #walked: WalkedBody;
  readonly #scanner: JsonScanner;
  readonly #begin: () => RecordTaker;
  readonly #refuse: (problem: ArrayProblem) => void;
  /** Behind the bracket, or the comma. */
  readonly #first: number;
  #at: number;
  /** Once the array was looked through (K2). */
  #batch: RecordTaker | undefined;

  /** @param begin called once the array is found to be one @param refuse called when it is not */
  constructor(
    walked: WalkedBody,
    scanner: JsonScanner,
    begin: () => RecordTaker,
    refuse: (problem: ArrayProblem) => void,
  ) {
    this.#walked = walked;
    this.#scanner = scanner;
    this.#begin = begin;
    this.#refuse = refuse;
    this.#first = skipSpace(walked.body.bytes, walked.begin, walked.end) + 1;
    this.#at = this.#first;
  }

  step(): boolean {
    const { body, end, piece, bounds = STEP } = this.#walked;
    const { bytes } = body;
    const scanner = this.#scanner;
    piece.begin();
    let left = bounds.bytes;
    for (let records = 0; ; records++) {
      if (left <= 0 || records === bounds.records || (records > 0 && piece.isOver())) return false;
      const from = this.#at;
      let at = skipSpace(bytes, from, end);
      const isEmpty = from === this.#first && at < end && bytes[at] === ARRAY_END;
      if (!isEmpty) {
        at = scanner.scan(body, from, end, false);
        if (at < 0) return this.#fail(scanner.problem, scanner.problemAt);
        this.#batch?.write(body, scanner.valueBegin, scanner.valueEnd);
        if (at < end && bytes[at] === COMMA) {
          this.#at = at + 1;
          left -= this.#at - from;
          continue;
        }
      }
      if (this.#batch !== undefined) {
        this.#batch.close();
        return true;
      }
      if (at >= end) return this.#fail("unexpected end, expected ',' or ']'", end);
      if (bytes[at] !== ARRAY_END) return this.#fail("expected ',' or ']'", at);
      const after = skipSpace(bytes, at + 1, end);
      if (after !== end) return this.#fail("unexpected data after the value", after);
      left -= at - from;
      this.#at = this.#first;
      this.#batch = this.#begin();
    }
  }

  #fail(problem: string, at: number): true {
    this.#refuse({ problem, at });
    return true;
  }
}

/** The end of bytes[begin, end) without the blanks at it. */
function withoutSpace(bytes: Uint8Array, begin: number, end: number): number {
  let last = end;
  while (last > begin && (bytes[last - 1] === 0x20 || bytes[last - 1] === 0x0d || bytes[last - 1] === 0x09))
    last--;
  return last;
}

function skipSpace(bytes: Uint8Array, begin: number, end: number): number {
  let at = begin;
  while (at < end && (bytes[at] === 0x20 || bytes[at] === LF || bytes[at] === 0x0d || bytes[at] === 0x09))
    at++;
  return at;
}
