// The search for chains of exchanges (solver.ts has the idea). One level at a time:
//
//   fair      members take up to their fair share, no item gets into one zone
//   full      members take up to their capacity, no item gets into one zone
//   relaxed   members take up to their capacity, items may get into one zone
//
//  E1  A member is `closed` when no chain from it reaches room at this level. Augmenting keeps that so: the reverse of
//      a chain's arc leads from where the chain came, and whoever could get there could have gone on to its end.
//  E2  Chains are the shortest, so an item that is in a chain twice is in it without harm: had its two exchanges got in
//      each other's way, one exchange in their place would have made a shorter chain.
import type { Board } from "./board.ts";

export type Level = "fair" | "full" | "relaxed";

/** Weight of a move against the spread over zones, where either is as good for everything else. */
const MOVE = 64;

/**
 * Members whose loads differ by less than a step of their share are as good as each other, and the item's own number
 * decides: in lockstep, the items of one member would all have the same few neighbours, on which its whole load falls
 * when it fails.
 */
const LOAD_STEPS = 32;

export class ExchangeSearch {
  readonly #board: Board;
  readonly #shares: Int32Array;
  readonly #members: number;
  readonly #closed: Uint8Array;
  readonly #reached: Uint8Array;
  readonly #queue: Int32Array;
  /** Of a reached member: who gives it an item, and which unit; -1 at the start of a chain. */
  readonly #giver: Int32Array;
  readonly #unit: Int32Array;
  #most: Int32Array;
  #isRelaxed = false;

  constructor(board: Board, shares: Int32Array) {
    const members = board.loads.length;
    this.#board = board;
    this.#shares = shares;
    this.#most = shares;
    this.#members = members;
    this.#closed = new Uint8Array(members);
    this.#reached = new Uint8Array(members);
    this.#queue = new Int32Array(members);
    this.#giver = new Int32Array(members);
    this.#unit = new Int32Array(members);
  }

  /** Begins a sweep at `level`: nothing is known to be closed. */
  begin(level: Level): void {
    this.#most = level === "fair" ? this.#shares : this.#board.state.capacity;
    this.#isRelaxed = level === "relaxed";
    this.#closed.fill(0);
  }

  /** Places a unit of `item`, which has one to place. @returns false if this level has no way */
  place(item: number): boolean {
    const direct = this.#bestDirect(item, -1);
    if (direct >= 0) {
      this.#board.add(item, direct);
      return true;
    }
    this.#start();
    for (let member = 0; member < this.#members; member++) {
      if (!this.#isClosed(member) && this.#takes(item, member, -1)) this.#reach(member, -1, -1);
    }
    const first = this.#walk();
    if (first >= 0) this.#board.add(item, first);
    return first >= 0;
  }

  /** Moves a unit of `item`, all of which are in one zone, to another zone. @returns whether it could */
  spread(item: number): boolean {
    const { board, from } = { board: this.#board, from: this.#fullestOf(item) };
    const zone = board.state.zoneOf[board.memberOf(from)]!;
    let target = this.#bestDirect(item, zone);
    if (target < 0) {
      this.#start();
      for (let member = 0; member < this.#members; member++) {
        if (board.state.zoneOf[member] === zone || this.#isClosed(member)) continue;
        if (this.#takes(item, member, -1)) this.#reach(member, -1, -1);
      }
      target = this.#walk();
      if (target < 0) return false;
      this.#closed.fill(0); // not an augmentation alone: a member has got room
    }
    board.move(this.#fullestOf(item), target);
    return true;
  }

  /** Moves items away from `member` until it has `most`. @returns whether any was moved */
  relieve(member: number, most: number): boolean {
    const before = this.#board.loads[member]!;
    while (this.#board.loads[member]! > most && !this.#isClosed(member)) {
      this.#start();
      this.#reach(member, -1, -1);
      if (this.#walk() < 0) break;
    }
    return this.#board.loads[member]! < before;
  }

  /** The best member with room for a unit of `item` outside of `zone`, or -1. */
  #bestDirect(item: number, zone: number): number {
    const { loads, state } = this.#board;
    let best = -1;
    let bestRank = 0;
    let bestLoad = 0;
    for (let member = 0; member < this.#members; member++) {
      const ownZone = state.zoneOf[member]!;
      if (ownZone === zone || !this.#hasRoom(member) || !this.#takes(item, member, -1)) continue;
      const rank = this.#board.inZone(item, ownZone) - (this.#board.isHome(item, member) ? MOVE : 0);
      const load = Math.floor((LOAD_STEPS * loads[member]!) / this.#shares[member]!) + scatter(item, member);
      if (best >= 0 && (rank > bestRank || (rank === bestRank && load >= bestLoad))) continue;
      best = member;
      bestRank = rank;
      bestLoad = load;
    }
    return best;
  }

  #hasRoom(member: number): boolean {
    return this.#board.loads[member]! < this.#most[member]!;
  }

  #isClosed(member: number): boolean {
    return this.#closed[member] === 1;
  }

  /** Whether `member` may get a unit of `item` that is new, or that comes from `giver`. */
  #takes(item: number, member: number, giver: number): boolean {
    const { state } = this.#board;
    const zone = state.zoneOf[member]!;
    if (zone < 0 || this.#board.has(item, member)) return false;
    if (this.#isRelaxed || state.zones.length < 2) return true;
    if (giver >= 0 && state.zoneOf[giver] === zone) return true;
    const wanted = this.#board.wanted(item);
    return this.#board.inZone(item, zone) < Math.max(1, wanted - 1);
  }

  #start(): void {
    this.#reached.fill(0);
    this.#length = 0;
  }

  #length = 0;

  #reach(member: number, giver: number, unit: number): void {
    this.#reached[member] = 1;
    this.#giver[member] = giver;
    this.#unit[member] = unit;
    this.#queue[this.#length++] = member;
  }

  /**
   * Goes on from what is reached, layer by layer, until a member with room, and carries the chain out.
   * @returns the member at which the chain began, which now has one unit less than it would, or -1
   */
  #walk(): number {
    for (let begin = 0; begin < this.#length;) {
      const end = this.#length;
      if (this.#stepToRoom(begin, end)) return this.#carryOut(this.#queue[end]!);
      for (let head = begin; head < end; head++) {
        const giver = this.#queue[head]!;
        for (let taker = 0; taker < this.#members; taker++) {
          if (this.#reached[taker] === 1 || this.#isClosed(taker) || this.#most[taker] === 0) continue;
          const unit = this.#bestExchange(giver, taker);
          if (unit >= 0) this.#reach(taker, giver, unit);
        }
      }
      begin = end;
    }
    for (let at = 0; at < this.#length; at++) this.#closed[this.#queue[at]!] = 1; // E1
    return -1;
  }

  /** Reaches the best member with room next to those in queue[begin .. end), if there is one. */
  #stepToRoom(begin: number, end: number): boolean {
    const { loads } = this.#board;
    let best = -1;
    let bestGiver = -1;
    let bestUnit = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let taker = 0; taker < this.#members; taker++) {
      if (this.#reached[taker] === 1 || !this.#hasRoom(taker)) continue;
      const load = Math.min(loads[taker]! / this.#shares[taker]!, 1);
      for (let head = begin; head < end; head++) {
        const giver = this.#queue[head]!;
        const unit = this.#bestExchange(giver, taker);
        if (unit < 0) continue;
        const rank = this.#rank(this.#board.itemOf(unit), giver, taker) + load;
        if (rank >= bestRank) continue;
        best = taker;
        bestGiver = giver;
        bestUnit = unit;
        bestRank = rank;
      }
    }
    if (best >= 0) this.#reach(best, bestGiver, bestUnit);
    return best >= 0;
  }

  /** The unit on `giver` that is best moved to `taker`, or -1. */
  #bestExchange(giver: number, taker: number): number {
    const board = this.#board;
    const load = board.loads[giver]!;
    const leaves = board.strangers[giver]! > 0 ? 0 : 1;
    const returns = board.absent[taker]! > 0 ? 1 : 0;
    const ideal = (leaves - returns) * MOVE;
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let at = 0; at < load; at++) {
      const unit = board.unitOn(giver, at);
      const item = board.itemOf(unit);
      if (!this.#takes(item, taker, giver)) continue;
      const rank = this.#rank(item, giver, taker);
      if (rank >= bestRank) continue;
      best = unit;
      bestRank = rank;
      if (rank <= ideal) break;
    }
    return best;
  }

  /** What it costs to move an item: whether it leaves a home, whether it comes home, and how its zones change. */
  #rank(item: number, giver: number, taker: number): number {
    const board = this.#board;
    const { zoneOf } = board.state;
    const home = (board.isHome(item, giver) ? 1 : 0) - (board.isHome(item, taker) ? 1 : 0);
    if (zoneOf[giver] === zoneOf[taker]) return home * MOVE;
    const spread = board.inZone(item, zoneOf[taker]!) - (board.inZone(item, zoneOf[giver]!) - 1);
    return home * MOVE + spread;
  }

  #carryOut(end: number): number {
    let taker = end;
    for (let giver = this.#giver[taker]!; giver >= 0; giver = this.#giver[taker]!) {
      this.#board.move(this.#unit[taker]!, taker);
      taker = giver;
    }
    return taker;
  }

  /** The unit of `item` on the fullest member. */
  #fullestOf(item: number): number {
    const { first, loads } = this.#board;
    let fullest = -1;
    let most = -1;
    for (let unit = first[item]!; unit < first[item + 1]!; unit++) {
      const member = this.#board.memberOf(unit);
      if (member < 0) continue;
      const load = loads[member]! / this.#shares[member]!;
      if (load <= most) continue;
      fullest = unit;
      most = load;
    }
    return fullest;
  }
}

/** In [0, 1), evenly over members for each item. */
function scatter(item: number, member: number): number {
  const mixed = Math.imul(Math.imul(item + 1, 0x9e3779b1) ^ Math.imul(member + 1, 0x85ebca6b), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
}
