// The broker as a member of the allocator's: its keyspace as the allocator sees it, and the loop that gives journals to
// brokers.
//
//  L1  An assignment is consistent when the route that the journal's primary stored in it is the current one: it has
//      brought all members of that route to the same bytes.
//  L2  An assignment that is to be the only one is written with its route, the only one that a primary would store: the
//      first append need not. It promises nothing but that there is nobody to bring.
// And while a broker has no network to others:
//  L3  A journal has one replica, whatever its spec asks for.
//  L4  Only an assignment that is alone is consistent, so no journal changes hands while there is nobody to bring its
//      content along: a broker with journals stays until its lease ends.
import { allocate, allocatorMetrics } from "@millrace/allocator";
import type { AllocatorKeys, AssignmentEntry, ConsistencyRule, MemberEntry } from "@millrace/allocator";
import type { Clock, Logger, Metrics } from "@millrace/base";
import type { CoordinationStore } from "@millrace/metadata";
import {
  assignmentKey,
  assignmentsPrefix,
  decodeAssignmentValue,
  encodeRoute,
  equivalentRoutes,
  itemKey,
  type ProcessId,
  type Route,
} from "@millrace/protocol";
import { AllocationView } from "./allocation-view.ts";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { memberName, type Item, type Member } from "./journal-table.ts";

export interface AllocationPorts {
  readonly coordination: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface AllocationOptions {
  readonly self: ProcessId;
  /** There is no network to other brokers. */
  readonly isAlone: boolean;
  /** How many replicas a journal should have. */
  readonly replicasOf: (item: Item) => number;
  /** Whether a member is gone, though its session has not ended (D13). */
  readonly isOut: (member: Member) => boolean;
}

/**
 * Gives journals to brokers while this one leads, until `signal` aborts.
 * @throws {WireError} NOT_FOUND when the broker's member key is gone
 */
export function allocateJournals(
  { coordination, clock, logger, metrics }: AllocationPorts,
  keyspace: BrokerKeyspace,
  { self, isAlone, ...view }: AllocationOptions,
): (signal: AbortSignal) => Promise<void> {
  const ports = {
    store: coordination,
    mirror: allocationView(keyspace, { isAlone, ...view }),
    keys: keysBelow(keyspace.root),
    clock,
    logger,
    metrics: allocatorMetrics(metrics),
  };
  const valueOfOnly = ({ name }: MemberEntry): Uint8Array =>
    encodeRoute({ members: [idOf(name)], primary: 0, endpoints: [] }); // L2
  const isConsistent = isAlone ? isOnly : storesRoute;
  const options = { member: memberName(self), isConsistent, valueOfOnly, stays: true };
  return (signal) => allocate(ports, options, signal);
}

export function allocationView(
  keyspace: BrokerKeyspace,
  { isAlone, replicasOf, isOut }: Omit<AllocationOptions, "self">,
): AllocationView {
  const one = (item: Item): number => Math.min(1, replicasOf(item)); // L3
  return new AllocationView(keyspace, isAlone ? one : replicasOf, isOut);
}

const isOnly: ConsistencyRule = (_item, { value }, all) => all.length === 1 && value.length > 0; // L4

/** L1 */
export const storesRoute: ConsistencyRule = (_item, { value }, all) =>
  value.length > 0 && equivalentRoutes(decodeAssignmentValue(value), routeOf(all));

function routeOf(all: readonly AssignmentEntry[]): Route {
  const members = all.map(({ member }) => idOf(member));
  return { members, primary: all.findIndex(({ slot }) => slot === 0), endpoints: [] };
}

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
