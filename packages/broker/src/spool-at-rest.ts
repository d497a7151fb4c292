// What whoever has the spool's token does with a spool in which nobody appends: waits for what is under way, and begins
// anew.
import { WireError } from "@millrace/base";
import { rollTo, type Spool } from "@millrace/fragments";
import { equalLabelSets, type LabelSet } from "@millrace/protocol";

/** Resolves when everything that was handed over has its outcome. No append is open. */
export function atRest(spool: Spool): Promise<void> {
  return new Promise((resolve) => {
    spool.openAppend(false).commit(undefined, () => resolve());
  });
}

/** Begins an empty fragment at `end` >= pendingEnd, with the registers, and waits until that is synced. */
export async function beginAt(spool: Spool, end: number, registers: LabelSet): Promise<void> {
  const here = spool.marks.at(spool.syncedEnd);
  const isSame = here !== undefined && equalLabelSets(here, registers);
  // K7 of journal-holder.ts: where the journal begins nothing was logged so far.
  const isKnown = end > 0 && isSame;
  if (isKnown && spool.begin === end) return;
  await rollTo(spool, end, isKnown ? undefined : registers);
  // A roll that takes nothing along is not told by where the spool ends.
  if (spool.begin !== end || !equalLabelSets(spool.registers, registers))
    throw new WireError("UNAVAILABLE", `the spool of ${spool.life.journal} did not begin anew at ${end}`);
}
