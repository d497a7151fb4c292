// What a proposal of the primary means to a replica (section 4.7 of the broker's specification). Pure.
//
//   S1  A replica advances only by the proposal that is its own next one, sum and all: it never guesses.
//   S2  A proposal beyond what the replica has, or an empty one at its end, begins a fragment: what was open is
//       complete.
//   S3  A proposal of what the replica has takes back content that was sent since.
import { equalLabelSets, ZERO_SHA1, type Fragment, type LabelSet } from "@millrace/protocol";

export interface ReplicaView {
  /** As the last proposal that was taken left it; its sum is ZERO_SHA1 while it is empty. */
  readonly fragment: Fragment;
  readonly registers: LabelSet;
  /** Bytes of content since then. */
  readonly delta: number;
  /** SHA-1 of the fragment with that content. */
  nextSum(): string;
}

export interface ProposalVerdict {
  /** Done first: takes content back, completes the fragment and begins an empty one. */
  readonly roll: { readonly begin: number; readonly registers: LabelSet | undefined } | undefined;
  readonly outcome: "commit" | "roll-back" | "mismatch";
}

export function decideProposal(view: ReplicaView, proposal: Fragment, registers: LabelSet): ProposalVerdict {
  const { fragment, delta } = view;
  const isAhead = proposal.end > fragment.end;
  const beginsAnew = proposal.end === fragment.end && proposal.begin === proposal.end;
  if (proposal.end > fragment.end + delta || beginsAnew) {
    const adopted = isAhead ? registers : undefined; // S2: whoever is behind has missed registers too
    const empty = emptyFragment(fragment, proposal);
    const fits = isSame(empty, proposal) && equalLabelSets(adopted ?? view.registers, registers);
    const roll = { begin: proposal.end, registers: adopted };
    return { roll, outcome: fits ? "roll-back" : "mismatch" };
  }
  if (isSame(fragment, proposal) && equalLabelSets(view.registers, registers)) {
    return { roll: undefined, outcome: "roll-back" }; // S3
  }
  const isNext = delta > 0 && isSame({ ...fragment, end: fragment.end + delta, sum: proposal.sum }, proposal);
  const fits = isNext && proposal.sum === view.nextSum(); // S1
  return { roll: undefined, outcome: fits ? "commit" : "mismatch" };
}

/** The empty fragment that `proposal` makes of `fragment`. */
export function emptyFragment(fragment: Fragment, proposal: Fragment): Fragment {
  const { end, compressionCodec } = proposal;
  return { ...fragment, begin: end, end, sum: ZERO_SHA1, compressionCodec };
}

function isSame(a: Fragment, b: Fragment): boolean {
  return (
    a.journal === b.journal &&
    a.begin === b.begin &&
    a.end === b.end &&
    a.sum === b.sum &&
    a.compressionCodec === b.compressionCodec &&
    a.backingStore === b.backingStore &&
    a.modTime === b.modTime &&
    a.pathPostfix === b.pathPostfix
  );
}
