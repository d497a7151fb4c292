// The keyspace as the allocator reasons about it, by index: made anew from each snapshot, in one pass over it.
//
//  S1  An assignment belongs to its item by id, and to its member by name; either may be missing (dead).
//  S2  The leader is the member that was created first; of several at one revision, the first in key order. One that is
//      out does not lead.
//  S3  Exiting members shed capacity, the oldest first, out of what the cluster has too much, but for as much as there
//      are items that want more members than are left without it and the older ones; who is out keeps nothing. An
//      overloaded cluster sheds nothing. Gazette's keeps a member's whole capacity where one item wants so many: the
//      items that could leave stay with it, and with what it alone has of them. Who leads decides, so it is safe where
//      both lead by turns; a change of the leader may move an item back.
import type { AssignmentEntry, ItemEntry, MemberEntry, Snapshot } from "./entries.ts";
import { REPLICATION_MAX } from "./limits.ts";

export interface AllocatorState {
  readonly revision: number;
  readonly items: readonly ItemEntry[];
  readonly members: readonly MemberEntry[];
  /** Members that each item should have. */
  readonly replication: Int32Array;
  /** Assignments of items that exist, by item, each item's in key order. */
  readonly assignments: readonly AssignmentEntry[];
  /** Item i has the assignments [begin[i], begin[i + 1]). */
  readonly begin: Int32Array;
  /** Of each assignment, the index of its member, or -1. */
  readonly memberOf: Int32Array;
  /** Assignments whose item does not exist, by item. */
  readonly dead: readonly (readonly AssignmentEntry[])[];
  /** Names of zones with capacity, in order. */
  readonly zones: readonly string[];
  /** Of each member, the index of its zone in `zones`, or -1. */
  readonly zoneOf: Int32Array;
  /** Sum of what items want. */
  readonly itemSlots: number;
  /** Sum of what members take, without what is shed. */
  readonly memberSlots: number;
  /** Of each member, its limit without what it sheds (S3). */
  readonly capacity: Int32Array;
  /** Assignments of each member to items that exist, and those with slot 0. */
  readonly totals: Int32Array;
  readonly primaries: Int32Array;
}

/** What a member that exits keeps as the leader sees it: `by-item` is S3, `by-member` Gazette's rule. */
export type Shedding = "by-item" | "by-member";

export function stateOf(snapshot: Snapshot, shedding: Shedding = "by-item"): AllocatorState {
  const { items, members, revision } = snapshot;
  const replication = new Int32Array(items.length);
  let itemSlots = 0;
  for (let at = 0; at < items.length; at++) {
    replication[at] = Math.min(items[at]!.replication, REPLICATION_MAX);
    itemSlots += replication[at]!;
  }
  const capacity = capacityOf(members, replication, { itemSlots, shedding });
  return {
    revision,
    items,
    members,
    replication,
    ...assignmentsOf(snapshot),
    ...zonesOf(members, capacity),
    itemSlots,
    memberSlots: capacity.reduce((sum, slots) => sum + slots, 0),
    capacity,
  };
}

/** Index of the member that leads, or -1 (S2). */
export function leaderOf(members: readonly MemberEntry[]): number {
  let leader = -1;
  for (const [at, { createRevision, isOut }] of members.entries()) {
    if (isOut === true) continue;
    if (leader < 0 || createRevision < members[leader]!.createRevision) leader = at;
  }
  return leader;
}

/** Whether two states make the same problem: who wants how much, and who takes how much. */
export function isSameProblem(a: AllocatorState, b: AllocatorState): boolean {
  return (
    a.items.length === b.items.length &&
    a.members.length === b.members.length &&
    a.members.every((member, i) => member.name === b.members[i]!.name) &&
    equalInts(a.capacity, b.capacity) &&
    equalInts(a.replication, b.replication) &&
    a.items.every((item, i) => item.id === b.items[i]!.id)
  );
}

function equalInts(a: Int32Array, b: Int32Array): boolean {
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** How many members are left without the exiting one at `index` and those that exit before it (S3). */
export function leftWithout(members: readonly MemberEntry[], index: number): number {
  const { createRevision } = members[index]!;
  const isBefore = (one: MemberEntry, at: number): boolean =>
    one.exiting &&
    (one.createRevision < createRevision || (one.createRevision === createRevision && at < index));
  const leaves = (one: MemberEntry, at: number): boolean =>
    one.isOut === true || at === index || isBefore(one, at);
  return members.reduce((count, one, at) => (leaves(one, at) ? count : count + 1), 0);
}

function capacityOf(
  members: readonly MemberEntry[],
  replication: Int32Array,
  { itemSlots, shedding }: { readonly itemSlots: number; readonly shedding: Shedding },
): Int32Array {
  const capacity = Int32Array.from(members, ({ limit }) => limit);
  const memberSlots = members.reduce((sum, { limit }) => sum + limit, 0);
  let excess = Math.max(0, memberSlots - itemSlots);
  const exiting = [...members.keys()].filter((at) => members[at]!.exiting && members[at]!.isOut !== true);
  exiting.sort((a, b) => members[a]!.createRevision - members[b]!.createRevision || a - b);
  for (const at of exiting) {
    const left = leftWithout(members, at);
    const wanting = replication.reduce((count, slots) => (slots > left ? count + 1 : count), 0);
    const kept = shedding === "by-member" && wanting > 0 ? capacity[at]! : wanting;
    const shed = Math.min(Math.max(0, capacity[at]! - kept), excess);
    capacity[at]! -= shed;
    excess -= shed;
  }
  return capacity;
}

function zonesOf(
  members: readonly MemberEntry[],
  capacity: Int32Array,
): Pick<AllocatorState, "zones" | "zoneOf"> {
  const zones = [...new Set(members.filter((_, i) => capacity[i]! > 0).map(({ zone }) => zone))];
  const at = new Map(zones.map((zone, index) => [zone, index]));
  return { zones, zoneOf: Int32Array.from(members, ({ zone }) => at.get(zone) ?? -1) };
}

type Assignments = Pick<
  AllocatorState,
  "assignments" | "begin" | "memberOf" | "dead" | "totals" | "primaries"
>;

/** Plain loops: a leader does this at each change of a keyspace that may have a hundred thousand keys. */
function assignmentsOf({ items, members, assignments: all }: Snapshot): Assignments {
  const finder = new ItemFinder(items);
  const memberAt = new Map(members.map(({ name }, index) => [name, index]));
  const begin = new Int32Array(items.length + 1);
  const itemOf = new Int32Array(all.length);
  const dead = new Map<string, AssignmentEntry[]>();
  let alive = 0;
  for (let at = 0; at < all.length; at++) {
    const assignment = all[at]!;
    const item = finder.find(assignment.item); // S1
    itemOf[at] = item;
    if (item >= 0) {
      begin[item + 1]!++;
      alive++;
    } else {
      const ofItem = dead.get(assignment.item);
      if (ofItem === undefined) dead.set(assignment.item, [assignment]);
      else ofItem.push(assignment);
    }
  }
  for (let item = 0; item < items.length; item++) begin[item + 1]! += begin[item]!;
  const next = begin.slice();
  const assignments = all.slice(0, alive); // each place is filled below
  const memberOf = new Int32Array(alive);
  const totals = new Int32Array(members.length);
  const primaries = new Int32Array(members.length);
  for (let at = 0; at < all.length; at++) {
    const item = itemOf[at]!;
    if (item < 0) continue;
    const assignment = all[at]!;
    const member = memberAt.get(assignment.member) ?? -1;
    const place = next[item]!++;
    assignments[place] = assignment;
    memberOf[place] = member;
    if (member < 0) continue;
    totals[member]!++;
    if (assignment.slot === 0) primaries[member]!++;
  }
  return { assignments, begin, memberOf, dead: [...dead.values()], totals, primaries };
}

/** Finds items by id, next to for nothing in their order. */
class ItemFinder {
  readonly #items: readonly ItemEntry[];
  #last = 0;
  #index: Map<string, number> | undefined;

  constructor(items: readonly ItemEntry[]) {
    this.#items = items;
  }

  /** @returns index, or -1 */
  find(id: string): number {
    const next = Math.min(this.#last + 1, this.#items.length);
    for (let at = this.#last; at <= next; at++) {
      if (this.#items[at]?.id !== id) continue;
      this.#last = at;
      return at;
    }
    this.#index ??= new Map(this.#items.map((item, at) => [item.id, at]));
    const at = this.#index.get(id);
    if (at === undefined) return -1;
    this.#last = at;
    return at;
  }
}
