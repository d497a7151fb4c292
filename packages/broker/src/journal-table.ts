// The broker's keyspace as it is used: items (journals), members (brokers) and assignments, each by what it is
// asked for.
//
//  K1  The assignments of a journal are in key order.
//  K2  `apply` names every journal of which the item or an assignment changed; a change of a member names all of its.
//  K3  An assignment goes on where a member gets another slot, which is another key, in one revision. One that ends
//      before the next begins is a break, though both come in one update: others may have written meanwhile.
import type { Key, KeyspaceChange, KeyspaceEntry } from "@millrace/metadata";
import {
  compareText,
  decodeAssignmentValue,
  decodeItemValue,
  decodeMemberValue,
  EMPTY_ROUTE,
  equalProcessIds,
  parseEntityKey,
  type BrokerSpec,
  type JournalSpec,
  type ProcessId,
  type Route,
} from "@millrace/protocol";
import { placeOf } from "./sorted-names.ts";

export interface Item {
  readonly key: Key;
  readonly spec: JournalSpec;
  readonly createRevision: number;
  readonly modRevision: number;
}

export interface Member {
  readonly key: Key;
  readonly spec: BrokerSpec;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease: bigint;
}

export interface Assignment {
  readonly key: Key;
  readonly member: ProcessId;
  readonly slot: number;
  /** As the primary stored it; the empty one while it has not, or what is stored cannot be decoded. */
  readonly route: Route;
  /** The route's bytes; none for the empty one. */
  readonly value: Uint8Array;
  /** Revision since which the member has been assigned without a break, as far as is known (K3). */
  readonly since: number;
  readonly modRevision: number;
  readonly lease: bigint;
}

/** A decoded key and value. */
export type Entity =
  | { readonly kind: "item"; readonly spec: JournalSpec }
  | { readonly kind: "member"; readonly spec: BrokerSpec }
  | {
      readonly kind: "assignment";
      readonly journal: string;
      readonly member: ProcessId;
      readonly slot: number;
      readonly route: Route;
      readonly value: Uint8Array;
    };

/** @throws {WireError} INVALID_ARGUMENT */
export function decodeEntity(root: string, key: Key, value: Uint8Array): Entity {
  const place = parseEntityKey(root, key);
  switch (place.kind) {
    case "item":
      return { kind: "item", spec: decodeItemValue(place.item, value) };
    case "member":
      return { kind: "member", spec: decodeMemberValue(place.member, value) };
    case "assignment": {
      const { item: journal, member, slot } = place;
      return { kind: "assignment", journal, member, slot, route: decodeAssignmentValue(value), value };
    }
  }
}

const NO_BYTES = new Uint8Array(0);

/**
 * What an entity counts as whose value cannot be decoded, if as anything. An assignment says by its key who is
 * assigned: it counts as one in which the primary has stored no route yet, and so the primary stores it again. A member
 * counts as what it was known for, at its newest revision, which the allocator compares.
 * @throws {WireError} INVALID_ARGUMENT for a key that is nobody's
 */
export function entityInstead(root: string, key: Key, known: Entity | undefined): Entity | undefined {
  const place = parseEntityKey(root, key);
  if (place.kind === "item") return undefined;
  if (place.kind === "member") return known;
  const { item: journal, member, slot } = place;
  return { kind: "assignment", journal, member, slot, route: EMPTY_ROUTE, value: NO_BYTES };
}

/** Names that come and go one by one before sorting all of them is cheaper. */
const SORTED_CHANGES_MAX = 256;

const NONE: readonly Assignment[] = [];

export class JournalTable {
  readonly #items = new Map<string, Item>();
  readonly #members = new Map<string, Member>();
  readonly #assignments = new Map<string, readonly Assignment[]>();
  /** Names of items in order; undefined: to be made anew, since many came or went. */
  #sorted: string[] | undefined = [];
  #sortedChanges = 0;

  get itemCount(): number {
    return this.#items.size;
  }

  item(journal: string): Item | undefined {
    return this.#items.get(journal);
  }

  member(id: ProcessId): Member | undefined {
    return this.#members.get(memberName(id));
  }

  members(): Iterable<Member> {
    return this.#members.values();
  }

  /** The same list until one of them changes. */
  assignments(journal: string): readonly Assignment[] {
    return this.#assignments.get(journal) ?? NONE;
  }

  /** Journals that have an assignment. */
  assigned(): Iterable<string> {
    return this.#assignments.keys();
  }

  /** Names of items that start with `prefix`, in order. */
  names(prefix: string): readonly string[] {
    this.#sorted ??= [...this.#items.keys()].sort(compareText);
    this.#sortedChanges = 0;
    const names = this.#sorted;
    if (prefix === "") return names.slice();
    const begin = placeOf(names, prefix);
    let end = begin;
    while (end < names.length && names[end]!.startsWith(prefix)) end++;
    return names.slice(begin, end);
  }

  /** @returns names of the journals concerned (K2) */
  apply(changes: readonly KeyspaceChange<Entity>[]): ReadonlySet<string> {
    const changed = new Set<string>();
    const deleted = new Map<Key, number>();
    for (const { key, after, deletedAt = 0 } of changes) if (after === undefined) deleted.set(key, deletedAt);
    // What goes on as another key is there still (K3).
    for (const { after } of changes) if (after !== undefined) this.#put(after, changed, deleted);
    for (const { before, after } of changes)
      if (after === undefined && before !== undefined) this.#delete(before, changed);
    return changed;
  }

  #put(
    { key, value, createRevision, modRevision, lease }: KeyspaceEntry<Entity>,
    changed: Set<string>,
    deleted: ReadonlyMap<Key, number>,
  ): void {
    switch (value.kind) {
      case "item": {
        const { spec } = value;
        if (!this.#items.has(spec.name)) this.#named(spec.name, "came");
        this.#items.set(spec.name, { key, spec, createRevision, modRevision });
        changed.add(spec.name);
        return;
      }
      case "member":
        this.#members.set(memberName(value.spec.id), {
          key,
          spec: value.spec,
          createRevision,
          modRevision,
          lease,
        });
        this.#concern(value.spec.id, changed);
        return;
      case "assignment": {
        const { journal, member, slot, route, value: bytes } = value;
        const others = this.assignments(journal).filter((other) => other.key !== key);
        const since = this.#since(journal, { key, member }, createRevision, deleted);
        const all = [...others, { key, member, slot, route, value: bytes, since, modRevision, lease }];
        all.sort((a, b) => (a.key < b.key ? -1 : 1)); // K1
        this.#assignments.set(journal, all);
        changed.add(journal);
      }
    }
  }

  /** K3. @param deleted keys that end with this update, and when */
  #since(
    journal: string,
    { key, member }: Pick<Assignment, "key" | "member">,
    createRevision: number,
    deleted: ReadonlyMap<Key, number>,
  ): number {
    const before = this.assignments(journal).filter((other) => {
      if (!equalProcessIds(other.member, member)) return false;
      // Of one key, an older one has ended before.
      if (other.key === key) return other.modRevision >= createRevision;
      return (deleted.get(other.key) ?? Number.POSITIVE_INFINITY) >= createRevision;
    });
    return Math.min(createRevision, ...before.map(({ since }) => since));
  }

  #delete({ key, value }: KeyspaceEntry<Entity>, changed: Set<string>): void {
    switch (value.kind) {
      case "item":
        if (this.#items.delete(value.spec.name)) this.#named(value.spec.name, "went");
        changed.add(value.spec.name);
        return;
      case "member":
        this.#members.delete(memberName(value.spec.id));
        this.#concern(value.spec.id, changed);
        return;
      case "assignment": {
        const { journal } = value;
        const rest = this.assignments(journal).filter((other) => other.key !== key);
        if (rest.length === 0) this.#assignments.delete(journal);
        else this.#assignments.set(journal, rest);
        changed.add(journal);
      }
    }
  }

  #named(name: string, change: "came" | "went"): void {
    if (this.#sorted === undefined) return;
    if (++this.#sortedChanges > SORTED_CHANGES_MAX) {
      this.#sorted = undefined;
      return;
    }
    const at = placeOf(this.#sorted, name);
    if (change === "came") this.#sorted.splice(at, 0, name);
    else this.#sorted.splice(at, 1);
  }

  #concern(id: ProcessId, changed: Set<string>): void {
    for (const [journal, assignments] of this.#assignments) {
      if (assignments.some(({ member }) => equalProcessIds(member, id))) changed.add(journal);
    }
  }
}

/** As texts and the command line have it. */
export function brokerName({ zone, suffix }: ProcessId): string {
  return `${zone}/${suffix}`;
}

/** As the keys of members and assignments have it. */
export function memberName(id: ProcessId): string {
  return `${id.zone}#${id.suffix}`;
}
