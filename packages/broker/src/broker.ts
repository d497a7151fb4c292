// Composition of a broker: mirror of the keyspace, session, allocation, replicas and the in-process transport.
import { never, TaskGroup, type Clock, type Logger, type Metrics, type Random } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import type { JournalLife, Spool, Spools } from "@millrace/fragments";
import { openSession, type CoordinationStore } from "@millrace/metadata";
import {
  encodeBrokerSpec,
  memberKey,
  validateBrokerSpec,
  validateKeyspaceRoot,
  type BrokerSpec,
  type LabelSelector,
  type ProcessId,
} from "@millrace/protocol";
import type { ObjectStores } from "@millrace/stores";
import type { AutoCreateRule } from "./auto-create.ts";
import { BrokerKeyspace } from "./broker-keyspace.ts";
import { LocalTransport } from "./local-transport.ts";
import { JournalReplica } from "./journal-replica.ts";
import { LEASE_SECONDS } from "./limits.ts";
import { Resolver } from "./resolver.ts";
import { SingleMemberAllocator } from "./single-member-allocator.ts";

export interface BrokerPorts {
  readonly spools: Spools;
  readonly stores: ObjectStores;
  readonly coordination: CoordinationStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface BrokerOptions {
  readonly id: ProcessId;
  /** URL at which others reach this broker. */
  readonly endpoint: string;
  /** Root of the broker's keys. Default `/gazette/cluster`. */
  readonly root?: string;
  readonly journalLimit?: number;
  readonly leaseSeconds?: number;
  /** How long the first change of the keyspace waits for more. Default 0. */
  readonly watchDelayMs?: number;
  /** Upper bound of any journal's replication. Default 9. */
  readonly replicationMax?: number;
  readonly autoCreate?: readonly AutoCreateRule[];
}

export interface Broker {
  /** In-process access to everything. */
  readonly transport: JournalTransport;
  /** In-process access to the journals that `visible` selects; the others are not found. */
  transportFor(visible: LabelSelector): JournalTransport;
  /** What stands against serving; empty when healthy. */
  health(): readonly string[];
  /** Ends appends and reads, closes fragments, gives the session back. The ports stay open. */
  close(): Promise<void>;
}

/** @param signal aborts the opening; a broker that is open is ended by `close` */
export async function openBroker(
  ports: BrokerPorts,
  options: BrokerOptions,
  signal: AbortSignal,
): Promise<Broker> {
  const root = options.root ?? "/gazette/cluster";
  const leaseSeconds = options.leaseSeconds ?? LEASE_SECONDS;
  const { coordination, logger, clock } = ports;
  const self: BrokerSpec = {
    id: options.id,
    endpoint: options.endpoint,
    journalLimit: options.journalLimit ?? 1024,
    exiting: false,
  };
  validateBrokerSpec(self);
  validateKeyspaceRoot(root);
  const failures: string[] = [];
  const session = await openSession(
    {
      store: coordination,
      clock,
      logger,
      ttlSeconds: leaseSeconds,
      onLost: (reason) => failures.push(reason.message),
    },
    signal,
  );
  const revision = await session.announce(memberKey(root, self.id), encodeBrokerSpec(self), signal);
  const keyspace = new BrokerKeyspace(ports, root, options.watchDelayMs ?? 0);
  await keyspace.load(revision, signal);

  const spools = new Map<string, { readonly createRevision: number; readonly spool: Spool }>();
  const claim = async (life: JournalLife, atLeast: number): Promise<Spool> => {
    const kept = spools.get(life.journal);
    if (kept?.createRevision === life.createRevision) {
      if (kept.spool.pendingEnd < atLeast) kept.spool.roll(atLeast);
      return kept.spool;
    }
    const spool = await ports.spools.claim(life, atLeast);
    spools.set(life.journal, { createRevision: life.createRevision, spool });
    return spool;
  };
  const tasks = new TaskGroup("broker", (task, error) => {
    failures.push(`${task}: ${String(error)}`);
    logger.error("broker-task-failed", { task, error: String(error) });
  });
  const resolver = new Resolver(
    keyspace,
    options.id,
    {
      open: (item, epoch, after) => {
        const replica = new JournalReplica({ claim, clock, logger }, item.spec, item.createRevision);
        void replica.open(epoch, after);
        return replica;
      },
    },
    { replicationMax: options.replicationMax ?? 9 },
  );
  const transports = {
    ...ports,
    keyspace,
    resolver,
    autoCreate: options.autoCreate ?? [],
    stopping: tasks.signal,
  };
  const allocator = new SingleMemberAllocator(
    ports,
    keyspace,
    { id: self.id, lease: session.lease },
    (item) => resolver.desiredReplicas(item) > 0,
  );
  tasks.spawn("watch", (stop) => keyspace.run(stop));
  tasks.spawn("allocate", (stop) => allocator.run(stop));
  const transport = new LocalTransport(transports, undefined);
  return {
    transport,
    transportFor: (visible) => new LocalTransport(transports, visible),
    health: () => {
      const unhealthy = ports.spools.unhealthy();
      return unhealthy === undefined ? failures : [...failures, unhealthy];
    },
    close: async () => {
      await resolver.close();
      await tasks.close();
      await session.close(never);
    },
  };
}
