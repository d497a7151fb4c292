// What an append of a journal waits for (durability.md D15): its level and how many members, in force only while every
// member of the cluster announces that it keeps to these rules. Pure.
import type { HoldersList } from "./holders-list.ts";

export interface WantedAcknowledgement {
  readonly level: "synced" | "replicated";
  /** Fewer members than the journal has replicas, by choice; undefined: all. */
  readonly minReplicas: number | undefined;
}

export interface EffectiveAcknowledgement {
  readonly level: "synced" | "replicated";
  readonly minReplicas: number;
  /** Not what was wanted: said by listings and a metric. */
  readonly isReduced: boolean;
}

export function effectiveAcknowledgement(
  { level, minReplicas }: WantedAcknowledgement,
  replication: number,
  isMixedCluster: boolean,
): EffectiveAcknowledgement {
  const wanted = Math.min(Math.max(minReplicas ?? replication, 1), replication);
  if (!isMixedCluster) return { level, minReplicas: wanted, isReduced: false };
  const isReduced = level !== "replicated" || wanted !== replication;
  return { level: "replicated", minReplicas: replication, isReduced };
}

/**
 * Whether a route has enough members to commit. A journal that is new, or was resumed, waits for all of them once: its
 * first members may merely be late.
 */
export function hasEnoughReplicas(
  members: number,
  replication: number,
  { minReplicas }: EffectiveAcknowledgement,
  journal: { readonly list: HoldersList | undefined; readonly isResumed: boolean },
): boolean {
  const isFirst = journal.list === undefined || journal.isResumed;
  return members >= (isFirst ? replication : minReplicas);
}
