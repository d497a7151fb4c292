// Announces this broker and gives it every journal: all that allocation is while there is one broker. Its keys are those
// of the cluster's allocator, which takes its place when there are several.
//
//  L1  A journal that wants a replica has the assignment <journal>#<zone>#<suffix>#0 under this session's lease; one that
//      wants none (suspended fully), or is gone, has no assignment of this broker.
//  L2  An assignment is written only if its journal is still the life that was seen.
import { WireError, type Clock, type Logger } from "@millrace/base";
import type { CoordinationStore, StoreOp, Compare } from "@millrace/metadata";
import type { BrokerSpec, Route } from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { assignmentKey, itemKey, memberKey, sameId, type Item } from "./journal-table.ts";
import { TXN_OPS_MAX } from "./limits.ts";
import { encodeBrokerSpec, encodeRoute } from "./pending-codecs.ts";

/** After a race with a change of specs: until its event is here. */
const RACE_PAUSE_MS = 10;

export interface AllocatorPorts {
  readonly coordination: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Session {
  readonly lease: bigint;
  /** Revision at which the member key is there. */
  readonly revision: number;
}

/** Grants a lease and writes the member's key under it. */
export async function announce(
  { coordination }: AllocatorPorts,
  root: string,
  spec: BrokerSpec,
  leaseSeconds: number,
  signal: AbortSignal,
): Promise<Session> {
  const lease = await coordination.grantLease(leaseSeconds, signal);
  const key = memberKey(root, spec.id);
  const { header } = await coordination.txn(
    { compare: [], success: [{ kind: "put", key, value: encodeBrokerSpec(spec), lease }] },
    signal,
  );
  return { lease, revision: header.revision };
}

/** Renews the lease until `signal` aborts. @throws {WireError} UNAVAILABLE when it is lost */
export async function keepSession(
  { coordination, clock }: AllocatorPorts,
  session: Session,
  leaseSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await clock.sleep((leaseSeconds * 1000) / 3, signal);
    try {
      await coordination.keepAlive(session.lease, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new WireError("UNAVAILABLE", "unable to keep member lease alive", { cause: error });
    }
  }
}

/** Keeps L1 until `signal` aborts. */
export async function allocateAll(
  ports: AllocatorPorts,
  root: string,
  self: BrokerSpec,
  session: Session,
  wanted: (item: Item) => boolean,
  keyspace: BrokerKeyspace,
  signal: AbortSignal,
): Promise<void> {
  let pending = new Set<string>();
  keyspace.onUpdate((changed) => {
    for (const journal of changed) pending.add(journal);
  });
  for (const { spec } of keyspace.table.items()) pending.add(spec.name);
  for (const journal of keyspace.table.assigned()) pending.add(journal);
  for (;;) {
    const journals = [...pending];
    pending = new Set();
    for (let at = 0; at < journals.length; at += TXN_OPS_MAX / 2) {
      const some = journals.slice(at, at + TXN_OPS_MAX / 2);
      const settled = await converge(ports, root, self, session, wanted, keyspace, some, signal);
      if (!settled) for (const journal of some) pending.add(journal);
    }
    if (pending.size === 0) await keyspace.changed.next(signal);
  }
}

/** @returns false when a journal came or went meanwhile; try again. */
async function converge(
  ports: AllocatorPorts,
  root: string,
  self: BrokerSpec,
  session: Session,
  wanted: (item: Item) => boolean,
  keyspace: BrokerKeyspace,
  journals: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  const compare: Compare[] = [];
  const success: StoreOp[] = [];
  const route: Route = { members: [self.id], primary: 0, endpoints: [] };
  for (const journal of journals) {
    const item = keyspace.table.item(journal);
    const mine = keyspace.table.assignments(journal).filter(({ member }) => sameId(member, self.id));
    const key = assignmentKey(root, journal, self.id, 0);
    if (item !== undefined && wanted(item)) {
      if (mine.some((assignment) => assignment.key === key && assignment.lease === session.lease)) continue;
      compare.push({ target: "create", key: itemKey(root, journal), op: "=", revision: item.createRevision });
      success.push({ kind: "put", key, value: encodeRoute(route), lease: session.lease });
    } else {
      for (const assignment of mine) success.push({ kind: "delete", key: assignment.key });
    }
  }
  if (success.length === 0) return true;
  const { succeeded, header } = await ports.coordination.txn({ compare, success }, signal);
  await keyspace.waitForRevision(succeeded ? header.revision : 0, signal);
  if (!succeeded) await ports.clock.sleep(RACE_PAUSE_MS, signal);
  return succeeded;
}
