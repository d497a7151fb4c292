// Selectors over label sets: `include` names must all match, `exclude` names must not.
import { EMPTY_LABELS, type LabelSet } from "./label-set.ts";

/** Labels of both sets may have `prefix` set. Several values of one name are alternatives. */
export interface LabelSelector {
  readonly include: LabelSet;
  readonly exclude: LabelSet;
}

/** Matches everything. */
export const ANY_LABELS: LabelSelector = { include: EMPTY_LABELS, exclude: EMPTY_LABELS };
