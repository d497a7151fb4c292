// How a committing append changes the journal's registers (section 4.8). Pure.
import {
  subtractLabels,
  unionLabels,
  EMPTY_LABELS,
  type AppendPreamble,
  type LabelSet,
} from "@millrace/protocol";

/** Whether the request wants registers changed; a present but empty set counts. */
export function modifiesRegisters(request: AppendPreamble): boolean {
  return request.unionRegisters !== undefined || request.subtractRegisters !== undefined;
}

/** Subtracts first, then unites; of one name the request's values win. */
export function nextRegisters(current: LabelSet, request: AppendPreamble): LabelSet {
  const kept = subtractLabels(current, request.subtractRegisters ?? EMPTY_LABELS);
  return unionLabels(request.unionRegisters ?? EMPTY_LABELS, kept);
}
