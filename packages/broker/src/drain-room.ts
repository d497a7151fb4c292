// What a broker that exits keeps, as the allocator's leader sees it: what the others have no room for, and why.
//
//  M1  Who leads decides. A broker of Gazette's that leads leaves a member all it has, as long as one journal wants as
//      many brokers as there are.
import { leaderOf, leftWithout, stateOf, type AllocatorState, type Snapshot } from "@millrace/allocator";

/** A journal that wants more brokers than are left. */
export interface NeededBrokers {
  readonly journal: string;
  readonly brokers: number;
}

export interface DrainRoom {
  /** Journals assigned here that stay. */
  readonly withoutRoom: number;
  /** Of those, the ones that want more brokers than are left. */
  readonly needs: readonly NeededBrokers[];
  /** M1: the others stay for no better reason. */
  readonly isGazettes: boolean;
}

export const NO_ROOM_ASKED: DrainRoom = { withoutRoom: 0, needs: [], isGazettes: false };

/** @param keepsLists whether a member, by name, is a broker of ours */
export function roomFor(
  snapshot: Snapshot,
  member: string,
  keepsLists: (member: string) => boolean,
): DrainRoom {
  const { members } = snapshot;
  const self = members.findIndex(({ name }) => name === member);
  if (self < 0) return NO_ROOM_ASKED;
  const leader = leaderOf(members);
  const isGazettes = leader >= 0 && !keepsLists(members[leader]!.name);
  const state = stateOf(snapshot, isGazettes ? "by-member" : "by-item");
  const withoutRoom = Math.min(state.capacity[self]!, state.totals[self]!);
  if (withoutRoom === 0) return NO_ROOM_ASKED;
  return { withoutRoom, needs: needsOf(state, self), isGazettes };
}

function needsOf(state: AllocatorState, self: number): readonly NeededBrokers[] {
  const { items, replication, begin, memberOf, members } = state;
  const left = leftWithout(members, self);
  const needs: NeededBrokers[] = [];
  for (const [item, { id }] of items.entries()) {
    if (replication[item]! <= left) continue;
    const isHere = memberOf.subarray(begin[item], begin[item + 1]).includes(self);
    if (isHere) needs.push({ journal: id, brokers: replication[item]! });
  }
  return needs;
}
