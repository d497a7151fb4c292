// Lives of a journal that are later than its list of holders: what a broker has was opened on a route of which the list
// knows nothing, since etcd was put back from a snapshot. Such a list is not believed about them (durability.md D10).
// Pure.
//
//  T1  A life that the newest segment does not name is later when its epoch is above the segment's, or above the
//      revision of a closed list: had its broker been left, it would have been by an activation that came after.
//  T2  It is not set aside, and not shown: nothing of it is judged by that list.
//  T3  A list that has changed hands since this process loaded its keyspace is not of before: then it judges.
//  T4  Where nobody has anything of what the newest segment promises, an operator's reset of the head names the
//      brokers that have later lives instead of it, as a list is written anew (H10 of holders-activation.ts): all of
//      them have to answer, and the largest end wins. Older segments stay, for what none of them has.
//  T5  That is so only for lives of which each is the begin of the longest. Of two that differ one has bytes that were
//      never acknowledged, and neither its end nor its epoch says which: an operator decides (differing-lives.ts).
import { newestSegment, type HolderId, type HoldersList } from "./holders-list.ts";
import type { HeldBytes } from "./holders-activation.ts";

export interface ListAt {
  readonly list: HoldersList;
  /** Revision of its key. */
  readonly listRevision: number;
}

/** @param epoch of what a restart found @param loadedAt revision at which the keyspace was loaded */
export function isLater(
  { list, listRevision }: ListAt,
  { self, epoch, loadedAt }: { readonly self: HolderId; readonly epoch: number; readonly loadedAt: number },
): boolean {
  if (list.tail.kind === "void") return false;
  const newest = newestSegment(list);
  if (newest?.members.includes(self) === true) return false;
  const since = newest?.epoch ?? listRevision;
  return epoch > since && since <= loadedAt; // T1, T3
}

/** What a broker answered that was asked for later lives. */
export interface FoundHolder {
  readonly id: HolderId;
  /** Epoch of what its restart found; 0: nothing. */
  readonly found: number;
  readonly held: HeldBytes;
}

/** Those who have a later life with more than the list promises. */
export function laterOf<T extends FoundHolder>(list: HoldersList, answers: readonly T[]): readonly T[] {
  const newest = newestSegment(list);
  if (newest === undefined) return [];
  return answers.filter(({ found, held }) => found > newest.epoch && held.end > newest.begin);
}

/** T4. @returns undefined: nobody has a later life with more than the list promises */
export function relistedLater(
  list: HoldersList,
  epoch: number,
  answers: readonly FoundHolder[],
): HoldersList | undefined {
  const newest = newestSegment(list);
  if (newest === undefined) return undefined;
  const later = laterOf(list, answers);
  if (later.length === 0) return undefined;
  const begin = Math.min(newest.begin, Math.max(...later.map(({ held }) => held.base)));
  const segments = list.segments.filter((segment) => segment.begin < begin);
  const members = later.map(({ id }) => id);
  return {
    segments: [...segments, { epoch, begin, members, loose: true, relisted: true }],
    tail: { kind: "held" },
  };
}
