// The broker's keyspace as the allocator sees it, kept current by what changes: a leader looks at it after each change
// of a keyspace that may have tens of thousands of journals.
//
//  V1  Lists are in the order of names, which is that of keys; the assignments of item i are the i-th group.
//  V2  A snapshot is not changed by what comes later, and what did not change is the same object in the next one.
//  V3  The assignments of a journal whose spec is there and cannot be decoded are not in a snapshot: they are neither
//      dead nor anybody's to change, and one such journal must not keep the others from being assigned.
import type { AllocatorMirror, AssignmentEntry, ItemEntry, MemberEntry, Snapshot } from "@millrace/allocator";
import type { Gate } from "@millrace/base";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { memberName, type Assignment, type Item, type Member } from "./journal-table.ts";
import { placeOf } from "./sorted-names.ts";

/** Changes above which everything is made anew: cheaper than as many insertions. */
const REBUILD_CHANGES = 256;

export class AllocationView implements AllocatorMirror {
  readonly changed: Gate;
  readonly #keyspace: BrokerKeyspace;
  readonly #replicasOf: (item: Item) => number;
  readonly #isOut: (member: Member) => boolean;
  #names: string[] = [];
  #items: ItemEntry[] = [];
  #groups: (readonly AssignmentEntry[])[] = [];
  /** Of journals that do not exist, or cannot be decoded (V3). */
  readonly #dead = new Map<string, readonly AssignmentEntry[]>();
  /** Names that changed since the last snapshot; undefined: too many. */
  #stale: Set<string> | undefined;

  /**
   * @param replicasOf how many replicas a journal should have; by what is in it alone
   * @param isOut whether a member is gone, though its session has not ended
   */
  constructor(
    keyspace: BrokerKeyspace,
    replicasOf: (item: Item) => number,
    isOut: (member: Member) => boolean,
  ) {
    this.#isOut = isOut;
    this.changed = keyspace.changed;
    this.#keyspace = keyspace;
    this.#replicasOf = replicasOf;
    keyspace.onUpdate((changed) => {
      for (const name of changed) this.#stale?.add(name);
      if (this.#stale !== undefined && this.#stale.size > REBUILD_CHANGES) this.#stale = undefined;
    });
  }

  snapshot(): Snapshot {
    if (this.#stale === undefined) this.#rebuild();
    else for (const name of this.#stale) this.#refresh(name);
    this.#stale = new Set();
    const assignments: AssignmentEntry[] = [];
    for (const group of this.#groups) for (const entry of group) assignments.push(entry);
    for (const [name, group] of this.#dead)
      if (!this.#keyspace.isUndecodable(name)) assignments.push(...group); // V3
    const { revision } = this.#keyspace.header;
    return { revision, items: this.#items.slice(), members: this.members(), assignments };
  }

  members(): readonly MemberEntry[] {
    const members: MemberEntry[] = [];
    for (const member of this.#keyspace.table.members()) {
      const { key, spec, createRevision, modRevision, lease } = member;
      const { id, journalLimit, exiting } = spec;
      const name = memberName(id);
      const isOut = this.#isOut(member);
      const limit = isOut ? 0 : journalLimit;
      members.push({ key, name, zone: id.zone, limit, exiting, isOut, createRevision, modRevision, lease });
    }
    return members.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  hasItems(member: string): boolean {
    const { table } = this.#keyspace;
    for (const item of table.assigned()) {
      if (table.item(item) === undefined) continue;
      if (table.assignments(item).some((one) => memberName(one.member) === member)) return true;
    }
    return false;
  }

  waitForRevision(revision: number, signal: AbortSignal): Promise<void> {
    return this.#keyspace.waitForRevision(revision, signal);
  }

  #rebuild(): void {
    const { table } = this.#keyspace;
    this.#names = [...table.names("")];
    this.#items = this.#names.map((name) => this.#itemEntry(name, table.item(name)!));
    this.#groups = this.#names.map((name) => this.#group(name));
    this.#dead.clear();
    for (const name of table.assigned()) if (table.item(name) === undefined) this.#bury(name);
  }

  #refresh(name: string): void {
    const { table } = this.#keyspace;
    const item = table.item(name);
    const at = placeOf(this.#names, name);
    const known = this.#names[at] === name ? 1 : 0;
    if (item === undefined) {
      this.#names.splice(at, known);
      this.#items.splice(at, known);
      this.#groups.splice(at, known);
      this.#bury(name);
      return;
    }
    this.#dead.delete(name);
    if (known === 0) this.#names.splice(at, 0, name);
    const before = this.#items[at];
    const entry = this.#itemEntry(name, item);
    // V2: an update of a spec that wants as much as before is another entry, an update of assignments is not.
    if (known === 0) this.#items.splice(at, 0, entry);
    else if (before!.modRevision !== entry.modRevision) this.#items[at] = entry;
    this.#groups.splice(at, known, this.#group(this.#names[at]!));
  }

  #bury(name: string): void {
    const group = this.#group(name);
    if (group.length === 0) this.#dead.delete(name);
    else this.#dead.set(name, group);
  }

  #itemEntry(id: string, item: Item): ItemEntry {
    const { key, modRevision } = item;
    return { key, id, replication: this.#replicasOf(item), modRevision };
  }

  #group(item: string): readonly AssignmentEntry[] {
    return this.#keyspace.table.assignments(item).map((assignment) => entryOf(item, assignment));
  }
}

function entryOf(
  item: string,
  { key, member, slot, value, modRevision, lease }: Assignment,
): AssignmentEntry {
  return { key, item, member: memberName(member), slot, value, modRevision, lease };
}
