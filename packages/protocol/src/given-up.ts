// How a person lets a journal go on that has lost bytes which others count on: behind everything that anybody has taken
// from it. A label says up to where, for whoever finds the hole; the offset of its suspension, a lower bound of the
// write head whatever becomes of its brokers, makes it so. A second label lets the head be reset to there, and is taken
// back when that is done: what is lost later a person has said nothing of.
import { resumeOffset, suspension, type JournalSpec } from "./journal-spec.ts";
import { valueOf, withLabel, withoutLabel } from "./label-set.ts";

export const GIVEN_UP_LABEL = "millrace.dev/given-up-to";
const RESET_LABEL = "millrace.dev/reset-head-at";

/** The offset below which bytes may be missing, since a person has given them up; undefined: none may. */
export function givenUpTo({ labels }: Pick<JournalSpec, "labels">): number | undefined {
  const value = valueOf(labels, GIVEN_UP_LABEL);
  const offset = value === "" ? Number.NaN : Number(value);
  return Number.isSafeInteger(offset) && offset >= 0 ? offset : undefined;
}

/** Whether the journal's head may be reset: it goes on where a person has said last, and has not gone on yet. */
export function mayResetHead(spec: JournalSpec): boolean {
  const at = givenUpTo(spec);
  return at === suspension(spec).offset && valueOf(spec.labels, RESET_LABEL) === String(at);
}

/** `spec` when its journal goes on. */
export function wentOn(spec: JournalSpec): JournalSpec {
  return { ...spec, labels: withoutLabel(spec.labels, RESET_LABEL) };
}

/** `spec` with which the journal goes on at `at`, or where its spec has said already when that is behind it. */
export function givingUpTo(spec: JournalSpec, at: number): JournalSpec {
  const offset = Math.max(at, resumeOffset(spec) ?? 0);
  return {
    ...spec,
    labels: withLabel(withLabel(spec.labels, GIVEN_UP_LABEL, String(offset)), RESET_LABEL, String(offset)),
    suspend: { level: suspension(spec).level, offset },
  };
}
