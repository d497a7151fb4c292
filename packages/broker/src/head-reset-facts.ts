// What the log says of a journal that goes on without its holders (ADR 14). Pure.
import type { ActivationState } from "./holders-activation.ts";

/** Of the warning `journal-head-reset`. */
export interface HeadResetFacts {
  readonly journal: string;
  /** Where the next append goes. */
  readonly goesOnAt: number;
  /** Acknowledged bytes are given up from here on. Below, a holder or a store has them. */
  readonly lostFrom: number;
  /** How many, nobody knows but who is gone: lists have where a segment begins, not where it ends. */
  readonly lostTo: "where the lost brokers had it";
  /** Ids of their data directories: their brokers are no members any more. */
  readonly directories: string;
}

/** @returns undefined when nothing was given up */
export function headResetFacts(
  journal: string,
  { givenUp, end, attempt }: Extract<ActivationState, { kind: "recording" }>,
): HeadResetFacts | undefined {
  if (givenUp.length === 0) return undefined;
  const goesOnAt = Math.max(end, attempt.reset?.offset ?? 0);
  const lostFrom = Math.max(end, attempt.reset?.knownEnd ?? 0);
  const lostTo = "where the lost brokers had it";
  return { journal, goesOnAt, lostFrom, lostTo, directories: givenUp.join(", ") };
}
