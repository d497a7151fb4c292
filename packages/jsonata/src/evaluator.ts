// What the platform asks of JSONata, and the port behind which programs are evaluated.

/** What a program may see of a record. */
export interface RecordInput {
  /** When it was received: the only time there is for a program. */
  readonly atMs: number;
  readonly ip: string;
  /** The body as JSON; undefined when it cannot be looked into. */
  readonly body: string | undefined;
  /** The body as text, if a program mentions it and it is one. */
  readonly bodyText?: string | undefined;
  /** First values by canonical names, if a program mentions them. Records of a request may share it. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A line `Name: value` for each. */
  readonly headerText?: string;
}

/** What becomes of a program on a record. */
export type ProgramResult =
  /** Its value as JSON. */
  | { readonly kind: "value"; readonly json: string }
  /** It found nothing (JSONata's `undefined`). */
  | { readonly kind: "nothing" }
  /** Its value is longer than any row. */
  | { readonly kind: "large" }
  /** It wanted to look into a body that cannot be looked into. */
  | { readonly kind: "unreadable" }
  /** The program's error, or a bound that it has exceeded. */
  | { readonly kind: "failed"; readonly reason: string }
  /** It was not evaluated; another time it may be. */
  | { readonly kind: "unavailable"; readonly reason: string };

export interface EvaluationJob {
  /** Whose it is: those of one take turns with those of others. */
  readonly source: string;
  readonly programs: readonly string[];
  /** Bound of each of the programs on one record. */
  readonly steps: number;
  readonly records: readonly RecordInput[];
  /** Nobody waits for it any more: what was not begun is not evaluated. */
  readonly isOver: () => boolean;
}

export interface ProgramEvaluator {
  /** @returns of each record, for each program. Never rejects; how long it waits is bounded by what may wait. */
  evaluate(job: EvaluationJob): Promise<readonly (readonly ProgramResult[])[]>;
  /** @returns why the program is none, with line and column @throws {WireError} UNAVAILABLE */
  check(program: string): Promise<string | undefined>;
}

/** What a program that does not match does not see. `$eval` may make any name. */
export const MENTIONS_HEADERS = /\$header|\$eval/;
export const MENTIONS_BODY_TEXT = /\$bodyStr|\$eval/;
