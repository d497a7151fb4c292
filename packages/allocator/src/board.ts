// Items on members while a solution is looked for: typed arrays, no object per item or per arc.
//
//  B1  A unit is one of the replicas that an item wants; item i has the units [first[i], first[i + 1]). A unit that is
//      placed is in the list of its member; an item has at most one unit on a member.
//  B2  A home of an item is a member that it is assigned to now. To put a unit elsewhere is a move; `strangers` counts
//      the units that a member has of items not at home there, `absent` the items at home there that it does not have.
import { assert } from "@millrace/base";
import type { AllocatorState } from "./state.ts";

export class Board {
  readonly state: AllocatorState;
  readonly first: Int32Array;
  /** Units of each item that are placed. */
  readonly counts: Int32Array;
  /** Units on each member. */
  readonly loads: Int32Array;
  readonly strangers: Int32Array;
  readonly absent: Int32Array;
  readonly #itemOf: Int32Array;
  readonly #memberOf: Int32Array;
  /** Of a placed unit, its index in its member's list. */
  readonly #placeOf: Int32Array;
  readonly #lists: Int32Array[];

  /** @param wanted units of each item */
  constructor(state: AllocatorState, wanted: Int32Array) {
    const members = state.members.length;
    this.state = state;
    this.first = new Int32Array(wanted.length + 1);
    for (const [item, units] of wanted.entries()) this.first[item + 1] = this.first[item]! + units;
    const units = this.first[wanted.length]!;
    this.counts = new Int32Array(wanted.length);
    this.loads = new Int32Array(members);
    this.strangers = new Int32Array(members);
    this.absent = new Int32Array(members);
    for (const member of state.memberOf) if (member >= 0) this.absent[member]!++;
    this.#itemOf = new Int32Array(units);
    for (const [item] of wanted.entries()) this.#itemOf.fill(item, this.first[item], this.first[item + 1]);
    this.#memberOf = new Int32Array(units).fill(-1);
    this.#placeOf = new Int32Array(units);
    this.#lists = state.members.map(() => new Int32Array(8));
  }

  get items(): number {
    return this.counts.length;
  }

  wanted(item: number): number {
    return this.first[item + 1]! - this.first[item]!;
  }

  itemOf(unit: number): number {
    return this.#itemOf[unit]!;
  }

  /** -1 while the unit is not placed. */
  memberOf(unit: number): number {
    return this.#memberOf[unit]!;
  }

  /** The `at`-th unit on a member, 0 <= at < loads[member]. */
  unitOn(member: number, at: number): number {
    return this.#lists[member]![at]!;
  }

  has(item: number, member: number): boolean {
    const end = this.first[item + 1]!;
    for (let unit = this.first[item]!; unit < end; unit++) if (this.#memberOf[unit] === member) return true;
    return false;
  }

  isHome(item: number, member: number): boolean {
    const { begin, memberOf } = this.state;
    const end = begin[item + 1]!;
    for (let at = begin[item]!; at < end; at++) if (memberOf[at] === member) return true;
    return false;
  }

  /** Units of the item in a zone. */
  inZone(item: number, zone: number): number {
    const { zoneOf } = this.state;
    const end = this.first[item + 1]!;
    let count = 0;
    for (let unit = this.first[item]!; unit < end; unit++) {
      const member = this.#memberOf[unit]!;
      if (member >= 0 && zoneOf[member] === zone) count++;
    }
    return count;
  }

  /** Places a unit of the item, which has one that is not placed. */
  add(item: number, member: number): void {
    assert(!this.has(item, member), "an item is on a member once", { item, member });
    let unit = this.first[item]!;
    while (this.#memberOf[unit] !== -1) unit++;
    assert(unit < this.first[item + 1]!, "an item has a unit to place", { item });
    this.#put(unit, member);
    this.counts[item]!++;
  }

  remove(unit: number): void {
    this.#take(unit);
    this.counts[this.#itemOf[unit]!]!--;
  }

  move(unit: number, member: number): void {
    assert(!this.has(this.#itemOf[unit]!, member), "an item is on a member once", { unit, member });
    this.#take(unit);
    this.#put(unit, member);
  }

  #put(unit: number, member: number): void {
    let list = this.#lists[member]!;
    const place = this.loads[member]!++;
    if (place === list.length) {
      const longer = new Int32Array(2 * list.length);
      longer.set(list);
      this.#lists[member] = list = longer;
    }
    list[place] = unit;
    this.#placeOf[unit] = place;
    this.#memberOf[unit] = member;
    if (this.isHome(this.#itemOf[unit]!, member)) this.absent[member]!--;
    else this.strangers[member]!++;
  }

  #take(unit: number): void {
    const member = this.#memberOf[unit]!;
    assert(member >= 0, "a unit that is taken was placed", { unit });
    const list = this.#lists[member]!;
    const last = list[--this.loads[member]!]!;
    const place = this.#placeOf[unit]!;
    list[place] = last;
    this.#placeOf[last] = place;
    this.#memberOf[unit] = -1;
    if (this.isHome(this.#itemOf[unit]!, member)) this.absent[member]!++;
    else this.strangers[member]!--;
  }
}
