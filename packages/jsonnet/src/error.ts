// What is wrong with a program, and where: positions in the form of the language's reference implementations, such as
// `1:1-8 Unknown variable: Invalid`, so that messages mean the same to people who know those.

/** A program's text with its name. */
export interface Source {
  /** Shown before positions; may be empty. */
  readonly file: string;
  readonly text: string;
}

/** text[begin, end) of a source. */
export interface Span {
  readonly source: Source;
  readonly begin: number;
  readonly end: number;
}

/** Lines and columns from 1, columns in UTF-16 units; the end is the first place behind. */
export interface Position {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** A step on the way to an error: the innermost comes first. */
export interface TraceStep extends Position {
  readonly file: string;
  /** What was evaluated there, such as `function <f>`; empty at the top. */
  readonly what: string;
}

export type JsonnetErrorKind =
  /** The program cannot be compiled. */
  | "static"
  /** An evaluation failed: the program's own `error`, or values that do not fit. */
  | "runtime"
  /** An evaluation, or the program itself, is larger than its limits. */
  | "limit";

/** Of a message, which may have a value of the program in it. */
const REASON_CHARS_MAX = 2000;

/** The only error that compile() and evaluate() throw; anything else is a bug. */
export class JsonnetError extends Error implements Position {
  override readonly name = "JsonnetError";
  readonly kind: JsonnetErrorKind;
  /** The message without its position. */
  readonly reason: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
  readonly trace: readonly TraceStep[];

  constructor(
    kind: JsonnetErrorKind,
    text: string,
    span: Span,
    trace: readonly TraceStep[] = [],
    cause?: unknown,
  ) {
    const reason = text.length <= REASON_CHARS_MAX ? text : `${text.slice(0, REASON_CHARS_MAX)}…`;
    super(`${spanText(span)} ${reason}`, cause === undefined ? undefined : { cause });
    const position = positionOf(span);
    this.kind = kind;
    this.reason = reason;
    this.file = span.source.file;
    this.line = position.line;
    this.column = position.column;
    this.endLine = position.endLine;
    this.endColumn = position.endColumn;
    this.trace = trace;
  }
}

/** Where `span` is. */
export function positionOf(span: Span): Position {
  const [line, column] = lineAndColumn(span.source.text, span.begin);
  const [endLine, endColumn] = lineAndColumn(span.source.text, span.end);
  return { line, column, endLine, endColumn };
}

/** `file:1:1-8`, or `file:(1:1)-(2:4)` when it spans lines. */
function spanText(span: Span): string {
  const { line, column, endLine, endColumn } = positionOf(span);
  const file = span.source.file === "" ? "" : `${span.source.file}:`;
  if (line !== endLine) return `${file}(${line}:${column})-(${endLine}:${endColumn})`;
  return endColumn === column ? `${file}${line}:${column}` : `${file}${line}:${column}-${endColumn}`;
}

function lineAndColumn(text: string, offset: number): [number, number] {
  let line = 1;
  let begin = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
    line++;
    begin = at + 1;
  }
  return [line, offset - begin + 1];
}
