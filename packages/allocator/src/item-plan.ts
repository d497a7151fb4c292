// What is done with one item in this pass (C1 to C4 of converge.ts). Making it counts it in the pass.
import type { AssignmentEntry, ConsistencyRule } from "./entries.ts";
import { REMOVALS_PER_CHECKPOINT_MAX } from "./limits.ts";
import type { AllocatorState } from "./state.ts";

/** One pass over all items: counts of members, kept current while items are planned. */
export interface Pass {
  readonly state: AllocatorState;
  readonly isConsistent: ConsistencyRule;
  readonly totals: Int32Array;
  readonly primaries: Int32Array;
}

interface Candidate {
  readonly assignment: AssignmentEntry;
  /** Index of its member, or -1. */
  readonly member: number;
  readonly isConsistent: boolean;
}

export class ItemPlan {
  readonly item: number;
  readonly adds: { readonly member: number; readonly slot: number }[] = [];
  readonly removes: readonly AssignmentEntry[];
  /** Those of members that are not there, which go at once (C6). */
  readonly lost: readonly AssignmentEntry[];
  /** The consistent assignments because of which others may be removed (C2, C5). */
  readonly support: readonly AssignmentEntry[];
  /** The one that gets another slot: 0 to be promoted, a lower one to be packed. */
  readonly move: { readonly assignment: AssignmentEntry; readonly slot: number } | undefined;
  /** Whether the item has no assignment, and is to have the one that is added. */
  readonly addsTheOnly: boolean;
  /** Adds that wait for room. */
  readonly blocked: number;
  /** 1 if something is to be removed once others are consistent. */
  readonly waiting: number;
  readonly #pass: Pass;

  constructor(pass: Pass, item: number, desired: Int32Array) {
    this.#pass = pass;
    this.item = item;
    const all = this.#candidates();
    const lost = all.filter(({ member }) => member < 0).slice(0, REMOVALS_PER_CHECKPOINT_MAX); // C6
    const current = all.filter(({ member }) => member >= 0);
    const isKept = ({ member }: Candidate, at: number): boolean =>
      desired.includes(member) && current.findIndex((one) => one.member === member) === at;
    const keep = current.filter(isKept);
    const spare = current.filter((one, at) => !isKept(one, at));
    const { removes, kept } =
      lost.length > 0 ? { removes: [], kept: spare } : this.#splitSpare(current, spare);
    this.lost = lost.map(({ assignment }) => assignment);
    this.removes = removes.map(({ assignment }) => assignment);
    this.waiting = kept.length > 0 && current.some(({ isConsistent }) => !isConsistent) ? 1 : 0;
    const stays = [...keep, ...kept];
    const replication = pass.state.replication[item]!;
    const consistent = stays.filter(({ isConsistent }) => isConsistent).slice(0, replication);
    this.support = removes.length > 0 ? consistent.map(({ assignment }) => assignment) : [];
    this.blocked = this.#add(all, desired);
    this.addsTheOnly = all.length === 0 && desired.length === 1;
    for (const { member, assignment } of removes) this.#count(member, -1, assignment.slot === 0 ? -1 : 0);
    stays.sort((a, b) => a.assignment.slot - b.assignment.slot);
    this.move = this.#promote(stays) ?? this.#pack(stays, this.adds.length + removes.length + lost.length);
  }

  #candidates(): Candidate[] {
    const { state, isConsistent } = this.#pass;
    const { begin, memberOf } = state;
    const all = state.assignments.slice(begin[this.item], begin[this.item + 1]);
    const item = state.items[this.item]!;
    return all.map((assignment, at) => ({
      assignment,
      member: memberOf[begin[this.item]! + at]!,
      isConsistent: isConsistent(item, assignment, all),
    }));
  }

  /** C2, by descending load of members. */
  #splitSpare(
    current: readonly Candidate[],
    spare: readonly Candidate[],
  ): Record<"removes" | "kept", Candidate[]> {
    const { state, totals } = this.#pass;
    const replication = state.replication[this.item]!;
    let consistent = current.reduce((count, { isConsistent }) => count + (isConsistent ? 1 : 0), 0);
    const ordered = [...spare].sort((a, b) => this.#ratio(b.member, totals) - this.#ratio(a.member, totals));
    let end = 0;
    while (end < ordered.length && end < REMOVALS_PER_CHECKPOINT_MAX && consistent >= replication) {
      if (ordered[end]!.isConsistent) {
        if (consistent === replication) break;
        consistent--;
      }
      end++;
    }
    return { removes: ordered.slice(0, end), kept: ordered.slice(end) };
  }

  /** C1. Of an item without assignments, the primary is where there are the fewest. @returns how many wait for room */
  #add(current: readonly Candidate[], desired: Int32Array): number {
    const { state, totals, primaries } = this.#pass;
    const missing = [...desired].filter((member) => current.every((one) => one.member !== member));
    const free = missing.filter((member) => totals[member]! < state.capacity[member]!);
    let slot = current.reduce((next, { assignment }) => Math.max(next, assignment.slot + 1), 0);
    if (slot === 0 && free.length > 1) {
      const loads = free.map((member) => this.#ratio(member, primaries));
      const primary = loads.indexOf(Math.min(...loads));
      free.unshift(...free.splice(primary, 1));
    }
    for (const member of free) {
      this.#count(member, 1, slot === 0 ? 1 : 0);
      this.adds.push({ member, slot: slot++ });
    }
    return missing.length - free.length;
  }

  /** C3. */
  #promote(stays: Candidate[]): ItemPlan["move"] {
    const first = stays[0];
    if (first === undefined || first.assignment.slot === 0) return undefined;
    const { primaries } = this.#pass;
    let best = first;
    for (const one of stays) {
      const isLess = this.#ratio(one.member, primaries) < this.#ratio(best.member, primaries);
      if (one.isConsistent === best.isConsistent ? isLess : one.isConsistent) best = one;
    }
    this.#count(best.member, 0, 1);
    return { assignment: best.assignment, slot: 0 };
  }

  /** C4. */
  #pack(stays: readonly Candidate[], changes: number): ItemPlan["move"] {
    if (changes > 0) return undefined;
    const at = stays.findIndex(({ assignment }, index) => assignment.slot !== index);
    return at <= 0 ? undefined : { assignment: stays[at]!.assignment, slot: at };
  }

  #count(member: number, total: number, primary: number): void {
    if (member < 0) return;
    this.#pass.totals[member]! += total;
    this.#pass.primaries[member]! += primary;
  }

  /** Of what a member has to what it takes; of a member that is gone, more than any. */
  #ratio(member: number, counts: Int32Array): number {
    if (member < 0) return Number.MAX_VALUE;
    const capacity = this.#pass.state.capacity[member]!;
    if (capacity === 0) return counts[member] === 0 ? 0 : Number.MAX_VALUE / 2;
    return counts[member]! / capacity;
  }
}
