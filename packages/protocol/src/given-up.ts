// How a person lets a journal go on that has lost bytes which others count on: behind everything that anybody has taken
// from it. A label says up to where, for whoever finds the hole; the offset of its suspension, a lower bound of the
// write head whatever becomes of its brokers, makes it so.
import { resumeOffset, suspension, type JournalSpec } from "./journal-spec.ts";
import { valueOf, withLabel } from "./label-set.ts";

export const GIVEN_UP_LABEL = "millrace.dev/given-up-to";

/** The offset below which bytes may be missing, since a person has given them up; undefined: none may. */
export function givenUpTo({ labels }: Pick<JournalSpec, "labels">): number | undefined {
  const value = valueOf(labels, GIVEN_UP_LABEL);
  const offset = value === "" ? Number.NaN : Number(value);
  return Number.isSafeInteger(offset) && offset >= 0 ? offset : undefined;
}

/** Whether the journal goes on where a person has said last. */
export function isGivenUp(spec: JournalSpec): boolean {
  return givenUpTo(spec) === suspension(spec).offset;
}

/** `spec` with which the journal goes on at `at`, or where its spec has said already when that is behind it. */
export function givingUpTo(spec: JournalSpec, at: number): JournalSpec {
  const offset = Math.max(at, resumeOffset(spec) ?? 0);
  return {
    ...spec,
    labels: withLabel(spec.labels, GIVEN_UP_LABEL, String(offset)),
    suspend: { level: suspension(spec).level, offset },
  };
}
