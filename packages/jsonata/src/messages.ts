// What the platform's process and one that evaluates say to each other. Results are texts with a mark in front: many
// small ones are what these messages consist of.
import type { ProgramResult, RecordInput } from "./evaluator.ts";

/** A program on a record; tasks of one record share its object. Without a record it is only compiled. */
export interface SentTask {
  readonly program: string;
  readonly record: RecordInput | undefined;
  readonly steps: number;
}

export interface Question {
  readonly id: number;
  readonly tasks: readonly SentTask[];
}

/** Results of the first tasks of a question, at least one: the others are to be asked again. */
export interface Answer {
  readonly id: number;
  readonly results: readonly string[];
}

export type FromEvaluator = { readonly kind: "ready" } | { readonly kind: "answer"; readonly answer: Answer };

export const NOTHING = "n";
export const LARGE = "l";
export const UNREADABLE = "u";
/** In front of the value's JSON. */
const VALUE = "v";
/** In front of the reason. */
const FAILED = "f";
/** The same, of a program that has exceeded its steps. */
const EXCEEDED = "x";

export function encodeValue(json: string): string {
  return VALUE + json;
}

export function encodeFailure(reason: string, hasExceeded: boolean): string {
  return (hasExceeded ? EXCEEDED : FAILED) + reason;
}

/** Whether the program had better be kept apart. */
export function isExceeded(result: string): boolean {
  return result.startsWith(EXCEEDED);
}

export function decodeResult(result: string): ProgramResult {
  const rest = result.slice(1);
  switch (result[0]) {
    case VALUE:
      return { kind: "value", json: rest };
    case NOTHING:
      return { kind: "nothing" };
    case LARGE:
      return { kind: "large" };
    case UNREADABLE:
      return { kind: "unreadable" };
    default:
      return { kind: "failed", reason: rest };
  }
}
