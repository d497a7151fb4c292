// The broker as a member of the allocator's: its keyspace as the allocator sees it, and the loop that gives journals to
// brokers.
//
//  L1  A journal has one replica, whatever its spec asks for: brokers do not replicate to each other yet.
//  L2  Only an assignment that is alone is consistent, so no journal changes hands while there is nobody to bring its
//      content along: a broker with journals stays until its lease ends.
//  L3  An assignment is written with its route, which with one member is the only one that a primary would store: the
//      first append need not.
import { allocate, allocatorMetrics } from "@millrace/allocator";
import type {
  AllocatorKeys,
  AllocatorMirror,
  AssignmentEntry,
  ConsistencyRule,
  ItemEntry,
  MemberEntry,
  Snapshot,
} from "@millrace/allocator";
import type { Clock, Gate, Logger, Metrics } from "@millrace/base";
import type { CoordinationStore } from "@millrace/metadata";
import { assignmentKey, assignmentsPrefix, encodeRoute, itemKey, type ProcessId } from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { memberName, type Assignment, type Item } from "./journal-table.ts";

export interface AllocationPorts {
  readonly coordination: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Gives journals to brokers while this one leads, until `signal` aborts or this broker is exiting and has none.
 * @param replicasOf how many replicas a journal should have
 * @throws {WireError} NOT_FOUND when the broker's member key is gone
 */
export function allocateJournals(
  { coordination, clock, logger, metrics }: AllocationPorts,
  keyspace: BrokerKeyspace,
  self: ProcessId,
  replicasOf: (item: Item) => number,
): (signal: AbortSignal) => Promise<void> {
  const ports = {
    store: coordination,
    mirror: new AllocationView(keyspace, replicasOf),
    keys: keysBelow(keyspace.root),
    clock,
    logger,
    metrics: allocatorMetrics(metrics),
  };
  const valueOfOnly = ({ name }: MemberEntry): Uint8Array =>
    encodeRoute({ members: [idOf(name)], primary: 0, endpoints: [] }); // L3
  return (signal) =>
    allocate(ports, { member: memberName(self), isConsistent: isAlone, valueOfOnly }, signal);
}

const isAlone: ConsistencyRule = (_item, { value }, all) => all.length === 1 && value.length > 0; // L2

function keysBelow(root: string): AllocatorKeys {
  return {
    item: (id) => itemKey(root, id),
    assignments: (item) => assignmentsPrefix(root, item),
    assignment: (item, member, slot) => assignmentKey(root, { item, member: idOf(member), slot }),
  };
}

function idOf(name: string): ProcessId {
  const at = name.indexOf("#");
  return { zone: name.slice(0, at), suffix: name.slice(at + 1) };
}

class AllocationView implements AllocatorMirror {
  readonly changed: Gate;
  readonly #keyspace: BrokerKeyspace;
  readonly #replicasOf: (item: Item) => number;
  /** Entries as they were made, by what they were made of, which a change of the keyspace replaces. */
  readonly #items = new WeakMap<Item, ItemEntry>();
  readonly #assignments = new WeakMap<Assignment, AssignmentEntry>();

  constructor(keyspace: BrokerKeyspace, replicasOf: (item: Item) => number) {
    this.changed = keyspace.changed;
    this.#keyspace = keyspace;
    this.#replicasOf = replicasOf;
  }

  snapshot(): Snapshot {
    const { table, header } = this.#keyspace;
    const items: ItemEntry[] = [];
    for (const id of table.names("")) items.push(this.#itemEntry(id, table.item(id)!));
    const assignments: AssignmentEntry[] = [];
    for (const item of table.assigned()) {
      for (const assignment of table.assignments(item)) {
        assignments.push(this.#assignmentEntry(item, assignment));
      }
    }
    return { revision: header.revision, items, members: this.members(), assignments };
  }

  #itemEntry(id: string, item: Item): ItemEntry {
    let entry = this.#items.get(item);
    if (entry === undefined) {
      const { key, modRevision } = item;
      entry = { key, id, replication: Math.min(1, this.#replicasOf(item)), modRevision }; // L1
      this.#items.set(item, entry);
    }
    return entry;
  }

  #assignmentEntry(item: string, assignment: Assignment): AssignmentEntry {
    let entry = this.#assignments.get(assignment);
    if (entry === undefined) {
      const { key, member, slot, value, modRevision, lease } = assignment;
      entry = { key, item, member: memberName(member), slot, value, modRevision, lease };
      this.#assignments.set(assignment, entry);
    }
    return entry;
  }

  members(): readonly MemberEntry[] {
    const members: MemberEntry[] = [];
    for (const { key, spec, createRevision, modRevision, lease } of this.#keyspace.table.members()) {
      const { id, journalLimit: limit, exiting } = spec;
      const name = memberName(id);
      members.push({ key, name, zone: id.zone, limit, exiting, createRevision, modRevision, lease });
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
}
