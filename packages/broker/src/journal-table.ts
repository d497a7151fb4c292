// The broker's keyspace decoded: items (journals), members (brokers) and assignments, by their keys
//   <root>/items/<journal>    <root>/members/<zone>#<suffix>    <root>/assign/<journal>#<zone>#<suffix>#<slot>
//
//  K1  A key or value that does not decode is logged and treated as absent; over a known key the old value stays.
//  K2  The assignments of a journal are in key order.
//  K3  `apply` names every journal of which the item or an assignment changed; a change of a member names all of its.
import type { Logger } from "@millrace/base";
import type { Key, KeyValue, StoreEvent } from "@millrace/metadata";
import {
  compareText,
  EMPTY_ROUTE,
  type BrokerSpec,
  type JournalSpec,
  type ProcessId,
  type Route,
} from "@millrace/protocol";
import { decodeBrokerSpec, decodeJournalSpec, decodeRoute, keyOf, textOf } from "./pending-codecs.ts";

export interface Item {
  readonly key: Key;
  readonly spec: JournalSpec;
  readonly createRevision: number;
  readonly modRevision: number;
}

export interface Member {
  readonly spec: BrokerSpec;
  readonly modRevision: number;
}

export interface Assignment {
  readonly key: Key;
  readonly journal: string;
  readonly member: ProcessId;
  readonly slot: number;
  /** As the primary stored it; no members when it has not yet. */
  readonly route: Route;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease: bigint;
}

export class JournalTable {
  readonly #root: string;
  readonly #logger: Logger;
  readonly #items = new Map<string, Item>();
  readonly #members = new Map<string, Member>();
  readonly #assignments = new Map<string, readonly Assignment[]>();
  /** Names of items in order; rebuilt when wanted after an item came or went. */
  #sorted: readonly string[] | undefined = [];

  constructor(root: string, logger: Logger) {
    this.#root = root;
    this.#logger = logger;
  }

  get itemCount(): number {
    return this.#items.size;
  }

  item(journal: string): Item | undefined {
    return this.#items.get(journal);
  }

  items(): Iterable<Item> {
    return this.#items.values();
  }

  member(id: ProcessId): Member | undefined {
    return this.#members.get(memberPart(id));
  }

  members(): Iterable<Member> {
    return this.#members.values();
  }

  assignments(journal: string): readonly Assignment[] {
    return this.#assignments.get(journal) ?? [];
  }

  /** Journals that have an assignment. */
  assigned(): Iterable<string> {
    return this.#assignments.keys();
  }

  /** Names of items that start with `prefix`, in order. */
  names(prefix: string): readonly string[] {
    this.#sorted ??= [...this.#items.keys()].sort(compareText);
    const names = this.#sorted;
    if (prefix === "") return names;
    let at = firstNotBelow(names, prefix);
    const begin = at;
    while (at < names.length && names[at]!.startsWith(prefix)) at++;
    return names.slice(begin, at);
  }

  load(kvs: Iterable<KeyValue>): void {
    for (const kv of kvs) this.#put(kv, new Set());
  }

  /** @returns names of the journals concerned (K3) */
  apply(events: readonly StoreEvent[]): ReadonlySet<string> {
    const changed = new Set<string>();
    for (const { kind, kv } of events) {
      if (kind === "put") this.#put(kv, changed);
      else this.#delete(kv.key, changed);
    }
    return changed;
  }

  #put(kv: KeyValue, changed: Set<string>): void {
    const place = this.#placeOf(kv.key);
    if (place === undefined) return;
    try {
      if (place.kind === "item") this.#putItem(place.journal, kv, changed);
      else if (place.kind === "member") this.#putMember(place.id, kv, changed);
      else this.#putAssignment(place, kv, changed);
    } catch (error) {
      this.#logger.error("keyspace-decode-failed", { key: textOf(kv.key), error: String(error) });
    }
  }

  #putItem(journal: string, kv: KeyValue, changed: Set<string>): void {
    const spec = decodeJournalSpec(kv.value);
    if (spec.name !== journal) throw new Error(`item name ${spec.name} is not that of its key`);
    if (!this.#items.has(journal)) this.#sorted = undefined;
    this.#items.set(journal, {
      key: kv.key,
      spec,
      createRevision: kv.createRevision,
      modRevision: kv.modRevision,
    });
    changed.add(journal);
  }

  #putMember(id: ProcessId, kv: KeyValue, changed: Set<string>): void {
    const spec = decodeBrokerSpec(kv.value);
    if (memberPart(spec.id) !== memberPart(id)) throw new Error("member id is not that of its key");
    this.#members.set(memberPart(id), { spec, modRevision: kv.modRevision });
    this.#changeOf(id, changed);
  }

  #putAssignment(place: Extract<Place, { kind: "assignment" }>, kv: KeyValue, changed: Set<string>): void {
    const { journal, id: member, slot } = place;
    const route = kv.value.length === 0 ? EMPTY_ROUTE : decodeRoute(kv.value);
    const { key, createRevision, modRevision, lease } = kv;
    const others = this.assignments(journal).filter((other) => other.key !== key);
    const all = [...others, { key, journal, member, slot, route, createRevision, modRevision, lease }];
    all.sort((a, b) => (a.key < b.key ? -1 : 1)); // K2
    this.#assignments.set(journal, all);
    changed.add(journal);
  }

  #delete(key: Key, changed: Set<string>): void {
    const place = this.#placeOf(key);
    if (place === undefined) return;
    if (place.kind === "item") {
      if (this.#items.delete(place.journal)) this.#sorted = undefined;
      changed.add(place.journal);
    } else if (place.kind === "member") {
      this.#members.delete(memberPart(place.id));
      this.#changeOf(place.id, changed);
    } else {
      const rest = this.assignments(place.journal).filter((other) => other.key !== key);
      if (rest.length === 0) this.#assignments.delete(place.journal);
      else this.#assignments.set(place.journal, rest);
      changed.add(place.journal);
    }
  }

  #changeOf(id: ProcessId, changed: Set<string>): void {
    for (const [journal, assignments] of this.#assignments) {
      if (assignments.some(({ member }) => sameId(member, id))) changed.add(journal);
    }
  }

  #placeOf(key: Key): Place | undefined {
    const place = parsePlace(this.#root, key);
    if (place === undefined) this.#logger.warn("keyspace-unexpected-key", { key: textOf(key) });
    return place;
  }
}

export function itemKey(root: string, journal: string): Key {
  return keyOf(`${root}/items/${journal}`);
}

export function memberKey(root: string, id: ProcessId): Key {
  return keyOf(`${root}/members/${memberPart(id)}`);
}

export function assignmentKey(root: string, journal: string, id: ProcessId, slot: number): Key {
  return keyOf(`${root}/assign/${journal}#${memberPart(id)}#${slot}`);
}

export function sameId(a: ProcessId, b: ProcessId): boolean {
  return a.zone === b.zone && a.suffix === b.suffix;
}

type Place =
  | { readonly kind: "item"; readonly journal: string }
  | { readonly kind: "member"; readonly id: ProcessId }
  | { readonly kind: "assignment"; readonly journal: string; readonly id: ProcessId; readonly slot: number };

function parsePlace(root: string, key: Key): Place | undefined {
  const plain = textOf(key);
  if (!plain.startsWith(`${root}/`)) return undefined;
  const rest = plain.slice(root.length + 1);
  const slash = rest.indexOf("/");
  const parts = rest.slice(slash + 1).split("#");
  const [first, second, third, fourth] = parts;
  switch (rest.slice(0, slash)) {
    case "items":
      return parts.length === 1 ? { kind: "item", journal: first! } : undefined;
    case "members":
      return parts.length === 2 ? { kind: "member", id: { zone: first!, suffix: second! } } : undefined;
    case "assign": {
      if (parts.length !== 4 || !/^-?[0-9]+$/.test(fourth!)) return undefined;
      return {
        kind: "assignment",
        journal: first!,
        id: { zone: second!, suffix: third! },
        slot: Number(fourth),
      };
    }
    default:
      return undefined;
  }
}

function memberPart(id: ProcessId): string {
  return `${id.zone}#${id.suffix}`;
}

function firstNotBelow(names: readonly string[], wanted: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareText(names[middle]!, wanted) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
