// Early fail-over (durability.md D13): a member whose process is plainly gone loses its assignments before its lease
// ends. A pure decision over what this member sees; its lease is left alone.
//
//  E1  Two other members report refused connections, or the only other one. Who is refused itself reports nothing.
//  E2  The allocator's leader decides; when it is the one that is refused, the next of the others by create revision,
//      whose transaction compares its own key and the leader's. Else both sides of a cut take each other out.
//  E3  One member at a time, never one that drains, and never so that fewer than half remain; of two members the one
//      that leads stays.
//  E4  Only journals with a holder among the others: what it alone holds waits for its lease.
import { compareText } from "@millrace/protocol";

export interface ClusterMember {
  readonly id: string;
  readonly createRevision: number;
  readonly isDraining: boolean;
  /** Its assignments were taken already, and its lease has not ended. */
  readonly isOut: boolean;
  /** Who reports that its connections are refused. */
  readonly refusedTo: readonly string[];
}

export interface AssignedJournal {
  readonly journal: string;
  readonly assigned: readonly string[];
  /** Members that hold the newest bytes; none are needed when the list is closed. */
  readonly holders: readonly string[] | "not-needed";
}

export interface FailOver {
  readonly member: string;
  /** Whose assignment of it is deleted. */
  readonly journals: readonly string[];
  /** Members whose keys the transaction compares. */
  readonly compared: readonly string[];
}

/** @returns what `self` has to do now, or undefined */
export function decideFailOver(
  self: string,
  leader: string,
  members: readonly ClusterMember[],
  journals: readonly AssignedJournal[],
): FailOver | undefined {
  if (members.some(({ isOut }) => isOut)) return undefined; // E3
  const refused = members.filter((member) => isRefused(member, members));
  const gone = new Set(refused.map(({ id }) => id));
  if (gone.has(self) || decider(leader, members, gone) !== self) return undefined;
  const taken = refused.find((member) => mayGo(member, leader, members));
  if (taken === undefined) return undefined;
  const { id } = taken;
  const isLive = (holder: string): boolean =>
    !gone.has(holder) && members.some((member) => member.id === holder);
  const mine = journals.filter(
    ({ assigned, holders }) => assigned.includes(id) && (holders === "not-needed" || holders.some(isLive)), // E4
  );
  const compared = id === leader ? [self, leader] : [self];
  return { member: id, journals: mine.map(({ journal }) => journal), compared };
}

function isRefused({ id, refusedTo }: ClusterMember, members: readonly ClusterMember[]): boolean {
  const others = members.filter((member) => member.id !== id);
  const reporters = others.filter((member) => refusedTo.includes(member.id));
  // Who is refused by all that could tell is no witness against them.
  const witnesses = reporters.filter(
    (one) => one.refusedTo.length < Math.min(2, others.length) || others.length === 1,
  );
  return others.length > 0 && witnesses.length >= Math.min(2, others.length);
}

/** E2 */
function decider(
  leader: string,
  members: readonly ClusterMember[],
  gone: ReadonlySet<string>,
): string | undefined {
  if (!gone.has(leader)) return leader;
  return members
    .filter(({ id }) => !gone.has(id))
    .toSorted((a, b) => a.createRevision - b.createRevision || compareText(a.id, b.id))[0]?.id;
}

/** E3 */
function mayGo(
  { id, isDraining }: ClusterMember,
  leader: string,
  members: readonly ClusterMember[],
): boolean {
  const remaining = members.length - 1;
  if (isDraining || remaining === 0) return false;
  return members.length === 2 ? id !== leader : remaining * 2 >= members.length;
}
