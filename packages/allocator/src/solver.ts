// Which members each item should be on: as many replicas as can be placed, in zones, evenly, with few moves.
//
// What is wanted, the first before the second and so on:
//  V1  As many units as possible are placed, none above a member's capacity, earlier items first.
//  V2  As few items as possible that want two or more are in one zone alone.
//  V3  Members exceed their fair share as little as possible: capacity * item slots / member slots, rounded up.
//  V4  Units stay where they are; those that must move go to zones where their item has few, on members with little.
//
// It is a maximum flow (item -> zone of the item -> member), found by augmenting from where items are now: whatever
// is wrong (a unit without a place, an item in one zone, a member above its share) is mended by the shortest chain of
// exchanges "member a gives an item to member b" that ends at a member with room. There are few members and many items,
// so the search runs over members, and an arc a -> b is looked up when it is needed: is there an item on a that b can
// take? A member from which no room can be reached is not asked again: augmenting never opens such a member.
// What is not wrong is not touched, so a solution that is solved again stays as it is. A chain ends at a member with
// real room, never in a circle, so it can be carried out one hand-off after the other, each over-committing nobody.
import { Board } from "./board.ts";
import { ExchangeSearch, type Level } from "./exchange-search.ts";
import { SOLVER_ROUNDS_MAX } from "./limits.ts";
import type { AllocatorState } from "./state.ts";

export interface Solution {
  /** Item i is desired on members[begin[i] .. begin[i + 1]), ascending. */
  readonly begin: Int32Array;
  readonly members: Int32Array;
  /** Units that are placed; `AllocatorState.itemSlots` if all are. */
  readonly placed: number;
  /** Items of two and more units that are in one zone, though there are several. */
  readonly inOneZone: number;
  /** Units above fair shares. */
  readonly aboveShare: number;
  /** Desired assignments that do not exist yet, and existing ones that are not desired. */
  readonly added: number;
  readonly removed: number;
}

/** Deterministic; the same state gives the same solution. */
export function solve(state: AllocatorState): Solution {
  const usable = state.capacity.reduce((count, capacity) => count + (capacity > 0 ? 1 : 0), 0);
  const wanted = state.replication.map((slots) => Math.min(slots, usable));
  const board = new Board(state, wanted);
  const shares = fairShares(state);
  const search = new ExchangeSearch(board, shares);
  keepHomes(board, shares);
  evict(board, search);
  for (let round = 1, changed = true; changed && round <= SOLVER_ROUNDS_MAX; round++) {
    changed = placeAll(board, search);
    changed = spreadOverZones(board, search) || changed;
    changed = relieveAll(search, shares) || changed;
  }
  return solutionOf(board, shares);
}

function fairShares({ capacity, itemSlots, memberSlots }: AllocatorState): Int32Array {
  if (itemSlots >= memberSlots) return capacity;
  return capacity.map((slots) => Math.ceil((slots * itemSlots) / memberSlots));
}

/** Places units where their items are, without those that are too many. */
function keepHomes(board: Board, shares: Int32Array): void {
  const { begin, memberOf, capacity, totals } = board.state;
  const loads = totals.slice();
  for (let item = 0; item < board.items; item++) {
    const homes: number[] = [];
    for (let at = begin[item]!; at < begin[item + 1]!; at++) {
      const member = memberOf[at]!;
      if (member >= 0 && capacity[member]! > 0 && !homes.includes(member)) homes.push(member);
    }
    while (homes.length > board.wanted(item)) {
      const worst = leastWanted(board.state, item, homes, (member) => loads[member]! / shares[member]!);
      loads[homes[worst]!]!--;
      homes.splice(worst, 1);
    }
    for (const member of homes) board.add(item, member);
  }
}

/** Index of the home to give up: one that no zone needs, then by the member's load, then not the primary's. */
function leastWanted(
  state: AllocatorState,
  item: number,
  homes: readonly number[],
  loadOf: (member: number) => number,
): number {
  const zones = homes.map((member) => state.zoneOf[member]!);
  const canSpare = homes.map((_, at) => new Set(zones.filter((_zone, other) => other !== at)).size);
  const primary = state.begin[item]! + slotZero(state, item);
  let worst = 0;
  for (let at = 1; at < homes.length; at++) {
    const zonesLeft = Math.min(canSpare[at]!, 2) - Math.min(canSpare[worst]!, 2);
    const load = loadOf(homes[at]!) - loadOf(homes[worst]!);
    const isPrimary = homes[worst] === state.memberOf[primary];
    if (zonesLeft > 0 || (zonesLeft === 0 && (load > 0 || (load === 0 && isPrimary)))) worst = at;
  }
  return worst;
}

function slotZero({ begin, assignments }: AllocatorState, item: number): number {
  for (let at = begin[item]!; at < begin[item + 1]!; at++) {
    if (assignments[at]!.slot === 0) return at - begin[item]!;
  }
  return 0;
}

/** Members above their capacity give items to others, or, if nobody can take them, lose the last ones (V1). */
function evict(board: Board, search: ExchangeSearch): void {
  const { capacity } = board.state;
  for (const level of ["fair", "full", "relaxed"] as const) {
    search.begin(level);
    for (const [member, most] of capacity.entries()) search.relieve(member, most);
  }
  for (const [member, most] of capacity.entries()) {
    while (board.loads[member]! > most) {
      let last = board.unitOn(member, 0);
      for (let at = 1; at < board.loads[member]!; at++) last = Math.max(last, board.unitOn(member, at));
      board.remove(last);
    }
  }
}

/** V1. @returns whether something was placed */
function placeAll(board: Board, search: ExchangeSearch): boolean {
  let changed = false;
  for (const level of ["fair", "full", "relaxed"] as const) {
    search.begin(level);
    for (let item = 0; item < board.items; item++) {
      while (board.counts[item]! < board.wanted(item)) {
        if (!search.place(item)) break;
        changed = true;
      }
    }
  }
  return changed;
}

/** V2. @returns whether an item was spread */
function spreadOverZones(board: Board, search: ExchangeSearch): boolean {
  let changed = false;
  if (board.state.zones.length < 2) return changed;
  for (const level of ["fair", "full"] as const satisfies readonly Level[]) {
    search.begin(level);
    for (let item = 0; item < board.items; item++) {
      if (isInOneZone(board, item)) changed = search.spread(item) || changed;
    }
  }
  return changed;
}

/** V3. @returns whether something has moved */
function relieveAll(search: ExchangeSearch, shares: Int32Array): boolean {
  let changed = false;
  search.begin("fair");
  for (const [member, share] of shares.entries()) changed = search.relieve(member, share) || changed;
  return changed;
}

function isInOneZone(board: Board, item: number): boolean {
  const count = board.counts[item]!;
  if (count < 2 || count < board.wanted(item)) return false;
  let unit = board.first[item]!;
  while (board.memberOf(unit) < 0) unit++;
  return board.inZone(item, board.state.zoneOf[board.memberOf(unit)]!) === count;
}

function solutionOf(board: Board, shares: Int32Array): Solution {
  const begin = new Int32Array(board.items + 1);
  for (const [item, count] of board.counts.entries()) begin[item + 1] = begin[item]! + count;
  const members = new Int32Array(begin[board.items]!);
  let inOneZone = 0;
  let kept = 0;
  for (let item = 0; item < board.items; item++) {
    let at = begin[item]!;
    for (let unit = board.first[item]!; unit < board.first[item + 1]!; unit++) {
      const member = board.memberOf(unit);
      if (member < 0) continue;
      members[at++] = member;
      if (board.isHome(item, member)) kept++;
    }
    members.subarray(begin[item], at).sort();
    if (board.state.zones.length > 1 && isInOneZone(board, item)) inOneZone++;
  }
  const placed = members.length;
  const aboveShare = board.loads.reduce((sum, load, member) => sum + Math.max(0, load - shares[member]!), 0);
  const removed = board.state.assignments.length - kept;
  return { begin, members, placed, inOneZone, aboveShare, added: placed - kept, removed };
}
