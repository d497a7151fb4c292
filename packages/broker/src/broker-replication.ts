// What the primaries of a broker replicate by.
import type { Clock, Logger } from "@millrace/base";
import type { CoordinationStore } from "@millrace/metadata";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import type { BrokerMetrics } from "./broker-metrics.ts";
import { KeyspaceHolders } from "./holder-directory.ts";
import { HoldersStore } from "./holders-store.ts";
import type { Route } from "@millrace/protocol";
import { ConfirmTimers } from "./peer-commits.ts";
import type { HolderCalls, PeerNetwork } from "./peer-network.ts";
import type { BrokerLease, ReplicationPorts } from "./replication.ts";
import type { Resolution } from "./resolver.ts";

export interface ReplicationParts {
  readonly coordination: CoordinationStore;
  readonly keyspace: BrokerKeyspace;
  readonly network: PeerNetwork;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Id of the data directory. */
  readonly holder: string;
  /** What this broker answers as a holder. */
  readonly local: HolderCalls;
  /** For the journal's primary. */
  readonly resolve: (journal: string) => Resolution;
  readonly routeOf: (journal: string) => Route;
  readonly broken: (journal: string) => void;
  readonly metrics: BrokerMetrics;
  readonly lease: BrokerLease;
}

export function replicationPorts(parts: ReplicationParts): ReplicationPorts {
  const { coordination, keyspace, network, clock, logger, holder, local } = parts;
  const { resolve, routeOf, broken, metrics, lease } = parts;
  let streams = 0;
  return {
    lists: new HoldersStore(coordination, keyspace.root),
    holders: new KeyspaceHolders(holder, keyspace.table, network, local),
    network,
    confirming: new ConfirmTimers(clock),
    clock,
    logger,
    resolve,
    routeOf,
    broken,
    metrics,
    lease,
    holds: (revision) => keyspace.holds(revision),
    nextStream: () => ++streams,
  };
}
