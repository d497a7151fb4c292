// From what is to what is desired, by steps that violate nothing on the way: a plan of transactions.
//
//  C1  A member gets no assignment beyond its capacity.
//  C2  An item loses assignments only while it has as many consistent ones as it should have replicas, and a consistent
//      one only if more are left than that. So a replacement is added, gets consistent, and only then the old one goes.
//  C3  An item that has assignments has a primary (slot 0) among them: if it is lost, a consistent one is promoted.
//  C4  Slots are packed one at a time, once there is nothing to add and nothing to remove, of any item: who was just
//      given a route is bringing it to all of its members, and would have to begin anew with other assignments. Items
//      that cannot become consistent do not keep slots from being packed that have become large.
//  C5  Whatever a decision rests on is compared in its transaction, so that a decision on an old snapshot does nothing:
//      a leader whose transaction was carried out without its knowledge must not remove, add or promote twice. To add
//      or to promote, that nothing of the item's assignments has come or changed since; to remove, the item, what is
//      removed, and the consistent ones that stay.
//  C6  An assignment of a member that is not there goes at once, whoever is consistent: nobody can be while it stands.
//      Leases take those of members that end; what stays was written by somebody else, or its member by one whom we
//      cannot read.
// Counts of members are kept current between items, as if all transactions before succeeded: they are sent in order,
// up to the first that fails.
import { prefixRange, type StoreOp, type TxnRequest } from "@millrace/metadata";
import { gather, type Checkpoint, type RevisionCompare } from "./checkpoints.ts";
import type { AllocatorKeys, AssignmentEntry, ConsistencyRule, MemberEntry } from "./entries.ts";
import { ItemPlan, type Pass } from "./item-plan.ts";
import { REMOVALS_PER_CHECKPOINT_MAX, SLOT_PACKED_AT_ONCE } from "./limits.ts";
import type { Solution } from "./solver.ts";
import type { AllocatorState } from "./state.ts";

export interface ConvergeOptions {
  readonly keys: AllocatorKeys;
  readonly isConsistent: ConsistencyRule;
  /** Index of the member that leads: its key is compared in each transaction. */
  readonly leader: number;
  /** What an item's assignment says from the start if it is to be the only one. Default: nothing, as for the others. */
  readonly valueOfOnly?: (member: MemberEntry) => Uint8Array;
}

export interface Plan {
  /** To be sent in order, up to the first that fails. */
  readonly txns: readonly TxnRequest[];
  readonly added: number;
  readonly removed: number;
  /** Of those removed, the ones whose member is not there. */
  readonly lost: readonly AssignmentEntry[];
  /** Promotions and packings. */
  readonly moved: number;
  /** Assignments that wait for room on their member. */
  readonly blocked: number;
  /** Items that lose an assignment once others are consistent. */
  readonly waiting: number;
}

const EMPTY = new Uint8Array();

/** @param desired solved for the items and members of `state` */
export function converge(state: AllocatorState, desired: Solution, options: ConvergeOptions): Plan {
  const { isConsistent } = options;
  const pass: Pass = {
    state,
    isConsistent,
    totals: state.totals.slice(),
    primaries: state.primaries.slice(),
  };
  const lost: AssignmentEntry[] = [];
  const counts = { added: 0, removed: 0, moved: 0, blocked: 0, waiting: 0 };
  const checkpoints: Checkpoint[] = [];
  const packs: Checkpoint[] = [];
  for (const assignments of state.dead) {
    checkpoints.push(...removeDead(assignments, options.keys));
    counts.removed += assignments.length;
  }
  for (let item = 0; item < state.items.length; item++) {
    if (isSettled(state, desired, item)) continue;
    const plan = new ItemPlan(
      pass,
      item,
      desired.members.subarray(desired.begin[item], desired.begin[item + 1]),
    );
    counts.added += plan.adds.length;
    counts.removed += plan.removes.length + plan.lost.length;
    for (const assignment of plan.lost) lost.push(assignment);
    counts.blocked += plan.blocked;
    counts.waiting += plan.waiting;
    const checkpoint = checkpointOf(state, plan, options);
    if (checkpoint.ops.length > 0) (isPacking(plan) ? packs : checkpoints).push(checkpoint);
    if (plan.move !== undefined && !isPacking(plan)) counts.moved++;
  }
  if (checkpoints.length === 0 && counts.waiting === 0) {
    checkpoints.push(...packs);
    counts.moved += packs.length;
  }
  const leader = state.members[options.leader]!;
  const fixed: RevisionCompare = { target: "mod", key: leader.key, op: "=", revision: leader.modRevision };
  return { txns: gather([fixed], checkpoints), lost, ...counts };
}

/** Whether it only gives an assignment a lower slot, and that can wait (C4). */
function isPacking({ move }: ItemPlan): boolean {
  return move !== undefined && move.slot > 0 && move.assignment.slot < SLOT_PACKED_AT_ONCE;
}

/** Whether the item is on its desired members, with slots that are packed. */
function isSettled(
  { begin, memberOf, assignments }: AllocatorState,
  desired: Solution,
  item: number,
): boolean {
  const first = begin[item]!;
  const count = begin[item + 1]! - first;
  if (count !== desired.begin[item + 1]! - desired.begin[item]!) return false;
  let slots = 0;
  for (let at = 0; at < count; at++) {
    if (memberOf[first + at] !== desired.members[desired.begin[item]! + at]) return false;
    const { slot } = assignments[first + at]!;
    if (slot >= count) return false;
    slots |= 1 << slot;
  }
  return slots === 2 ** count - 1;
}

/** Removes assignments whose item does not exist; their item must not have come again. */
function* removeDead(assignments: readonly AssignmentEntry[], keys: AllocatorKeys): Generator<Checkpoint> {
  for (let at = 0; at < assignments.length; at += REMOVALS_PER_CHECKPOINT_MAX) {
    const some = assignments.slice(at, at + REMOVALS_PER_CHECKPOINT_MAX);
    const key = keys.item(some[0]!.item);
    const missing: RevisionCompare = { target: "create", key, op: "=", revision: 0 };
    yield { compare: [missing, ...some.map(unchanged)], ops: some.map(removal) };
  }
}

function checkpointOf(state: AllocatorState, plan: ItemPlan, options: ConvergeOptions): Checkpoint {
  const { keys, valueOfOnly } = options;
  const item = state.items[plan.item]!;
  const compare: RevisionCompare[] = [];
  const ops: StoreOp[] = [];
  if (plan.adds.length > 0 || plan.move !== undefined) {
    const range = prefixRange(keys.assignments(item.id));
    compare.push({ target: "mod", ...range, op: "<", revision: state.revision + 1 });
  }
  for (const { member, slot } of plan.adds) {
    const entry = state.members[member]!;
    compare.push(unchanged(entry)); // its limit may have become less
    const value = plan.addsTheOnly ? (valueOfOnly?.(entry) ?? EMPTY) : EMPTY;
    ops.push(put(keys.assignment(item.id, entry.name, slot), value, entry.lease));
  }
  if (plan.removes.length > 0) compare.push(unchanged(item)); // it may want more now
  for (const assignment of [...plan.removes, ...plan.lost]) {
    compare.push(unchanged(assignment));
    ops.push(removal(assignment));
  }
  for (const assignment of plan.support) compare.push(unchanged(assignment));
  if (plan.move !== undefined) {
    const { assignment, slot } = plan.move;
    compare.push(unchanged(assignment));
    ops.push(removal(assignment));
    ops.push(put(keys.assignment(item.id, assignment.member, slot), assignment.value, assignment.lease));
  }
  return { compare, ops };
}

function unchanged({
  key,
  modRevision,
}: {
  readonly key: string;
  readonly modRevision: number;
}): RevisionCompare {
  return { target: "mod", key, op: "=", revision: modRevision };
}

function removal({ key }: AssignmentEntry): StoreOp {
  return { kind: "delete", key };
}

function put(key: string, value: Uint8Array, lease: bigint): StoreOp {
  return lease === 0n ? { kind: "put", key, value } : { kind: "put", key, value, lease };
}
