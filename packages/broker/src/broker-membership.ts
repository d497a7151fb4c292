// The broker as one of several: it gives journals to brokers while it leads, also those of one that is gone, forgets
// those that are deleted, and leaves without loss.
import type { Clock, Logger, Metrics, Random, TaskGroup } from "@millrace/base";
import type { Persister, Spools } from "@millrace/fragments";
import type { CoordinationStore, Session } from "@millrace/metadata";
import type { BrokerSpec } from "@millrace/protocol";
import { allocateJournals, allocationView, type AllocationOptions } from "./broker-allocation.ts";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import type { BrokerMetrics } from "./broker-metrics.ts";
import { forgetDeleted } from "./deleted-journals.ts";
import { Drain } from "./drain.ts";
import { EarlyFailOver } from "./fail-over.ts";
import { HoldersStore } from "./holders-store.ts";
import { keepToken } from "./directory-token.ts";
import { runUpkeep } from "./holders-upkeep.ts";
import { bytesHere } from "./last-persist.ts";
import type { ReplicaPorts } from "./journal-replica.ts";
import { keepMemberKey } from "./member-key.ts";
import type { PeerNetwork } from "./peer-network.ts";
import type { Resolver } from "./resolver.ts";

export interface MembershipPorts {
  readonly coordination: CoordinationStore;
  readonly spools: Spools;
  readonly network?: PeerNetwork;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface MembershipParts {
  readonly ports: MembershipPorts;
  readonly keyspace: BrokerKeyspace;
  /** As announced. */
  readonly self: BrokerSpec;
  readonly session: Session;
  readonly resolver: Resolver;
  readonly persister: Persister;
  readonly replicaPorts: Pick<ReplicaPorts, "journals" | "refresh">;
  readonly metrics: BrokerMetrics;
}

/** Spawns what it takes in `tasks`. */
export function takePart(parts: MembershipParts, tasks: TaskGroup): Drain {
  const { ports, keyspace, self, session, resolver, persister, replicaPorts, metrics } = parts;
  const { coordination, network, clock, logger } = ports;
  const lists = network && new HoldersStore(coordination, keyspace.root);
  const failOver =
    network && new EarlyFailOver({ coordination, keyspace, session, network, self: self.id, clock, logger });
  const allocation: AllocationOptions = {
    self: self.id,
    isAlone: network === undefined,
    replicasOf: (item) => resolver.desiredReplicas(item),
    isOut: (member) => failOver?.isOut(member) ?? false,
  };
  const drain = new Drain({
    ...{ session, keyspace, clock, logger, self, waiting: metrics.drainWaits },
    lists,
    view: () => allocationView(keyspace, allocation),
    assigned: () => resolver.replicaCount,
    bytesOf: (journal) => bytesHere({ keyspace, journals: replicaPorts.journals }, journal),
    backlogBytes: () => persister.backlog().bytes,
    hurry: () => tasks.spawn("persist", async (signal) => void (await persister.drain(signal))),
  });
  forgetDeleted({ keyspace, resolver, journals: replicaPorts.journals }, tasks);
  tasks.spawn("allocate", allocateJournals(ports, keyspace, allocation));
  const own = { coordination, keyspace, session, clock, logger };
  tasks.spawn("member-key", (signal) => keepMemberKey(own, self.id, signal));
  if (failOver !== undefined) tasks.spawn("fail-over", (signal) => failOver.run(signal));
  if (lists !== undefined && self.holder !== "") {
    const upkeep = {
      ...{ keyspace, lists, self: self.holder, clock, logger },
      journals: replicaPorts.journals,
      remote: replicaPorts.refresh,
      isServed: (journal: string) => resolver.isMember(journal),
      isAwaited: () => drain.progress.state === "draining",
    };
    tasks.spawn("holders-upkeep", (signal) => runUpkeep(upkeep, signal));
    const token = { ...ports, seenRevision: () => keyspace.header.revision };
    const of = { root: keyspace.root, broker: self.id, directory: self.holder };
    tasks.spawn("directory-token", (signal) => keepToken(token, of, signal));
  }
  tasks.spawn("drain", (signal) => drain.run(signal));
  return drain;
}
