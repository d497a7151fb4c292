// What a list of holders says of the hidden bytes of a spool (durability.md D11), as far as a spool can take it: a
// shown part, a hidden part behind it, and nothing else. Pure.
//
//  V1  Below the begin of a segment that names this member nothing stands here but what was acknowledged: when the
//      member was brought to that begin, everything else was judged, or cut.
//  V2  So what is acknowledged comes first. Should it not, nobody may use the spool.
//  V3  Behind where a list is void everything stays as it is, hidden.
import { segmentEnd, type HolderId, type HoldersList, type Range } from "./holders-list.ts";
import { judgeBytes } from "./sealed-bytes.ts";

export interface SpoolVerdict {
  /** Below it everything here is acknowledged. */
  readonly shown: number;
  /** What stands at or behind it goes to quarantine. */
  readonly kept: number;
}

/**
 * @param held what is on the disk, ascending and apart @param shown what this process knows to be acknowledged
 * @param end of the spool
 * @returns undefined: V2 does not hold
 */
export function judgeSpool(
  list: HoldersList | undefined,
  self: HolderId,
  spool: { readonly held: readonly Range[]; readonly shown: number; readonly end: number },
): SpoolVerdict | undefined {
  const { end } = spool;
  const known = [{ begin: 0, end: Math.max(spool.shown, ownBegin(list, self)) }];
  const { acknowledged, held, quarantine } = judgeBytes(list, self, spool.held, known);
  const sealedFrom = Math.min(held[0]?.begin ?? end, quarantine[0]?.begin ?? end);
  if ((acknowledged.at(-1)?.end ?? 0) > sealedFrom) return undefined; // V2
  const [first] = quarantine;
  if (first === undefined) return { shown: sealedFrom, kept: end };
  if (held.length > 0 && held[0]!.begin > first.begin) {
    return list?.tail.kind === "void" ? { shown: sealedFrom, kept: end } : undefined; // V3
  }
  return { shown: sealedFrom, kept: first.begin };
}

/** The greatest begin of a segment that names `self`, or the end of one that is over. */
function ownBegin(list: HoldersList | undefined, self: HolderId): number {
  let greatest = 0;
  for (const [index, { begin, members, relisted }] of (list?.segments ?? []).entries()) {
    if (relisted !== true && members.includes(self))
      greatest = Math.max(greatest, begin, segmentEnd(list!, index) ?? begin);
  }
  return greatest;
}
