// What an append of a journal waits for (durability.md D15): its level and how many members, in force only while every
// member of the cluster announces that it keeps to these rules. Pure.
//
// Labels of a journal say what is wanted. Whoever writes to the coordination store past our doors may leave others
// there: what cannot be read counts as the safest.
import { valuesOf, type LabelSet } from "@millrace/protocol";

export const ACK_LABEL = "millrace.dev/ack";
export const MIN_REPLICAS_LABEL = "millrace.dev/min-replicas";

/** `synced`: on disks; `replicated`: in the memory of as many. */
export type AcknowledgementLevel = "synced" | "replicated";

export interface WantedAcknowledgement {
  readonly level: AcknowledgementLevel;
  /** Fewer members than the journal has replicas, by choice; undefined: all. */
  readonly minReplicas: number | undefined;
}

export interface EffectiveAcknowledgement {
  readonly level: AcknowledgementLevel;
  readonly minReplicas: number;
  /** Not what was wanted: said by listings and a metric. */
  readonly isReduced: boolean;
  /** Nobody waits for syncs, unless the route has nobody else: Gazette's brokers are waited for as they answer. */
  readonly isEarly: boolean;
}

/** @returns what is wrong with the labels, or undefined */
export function refuseAcknowledgement(labels: LabelSet, replication: number): string | undefined {
  const levels = valuesOf(labels, ACK_LABEL);
  if (levels.length > 1 || (levels.length === 1 && levelOf(levels[0]!) === undefined)) {
    return `label ${ACK_LABEL}: ${shown(levels)} (expected synced or replicated)`;
  }
  const counts = valuesOf(labels, MIN_REPLICAS_LABEL);
  const least = counts.length === 1 ? countOf(counts[0]!) : undefined;
  if (counts.length > 0 && (least === undefined || least > replication)) {
    return `label ${MIN_REPLICAS_LABEL}: ${shown(counts)} (expected 1 <= min-replicas <= ${replication})`;
  }
  return undefined;
}

/** What the labels ask for; what cannot be read, or is there twice, asks for the most. */
export function wantedAcknowledgement(labels: LabelSet): WantedAcknowledgement {
  const levels = valuesOf(labels, ACK_LABEL);
  const counts = valuesOf(labels, MIN_REPLICAS_LABEL);
  return {
    level: levels.length === 1 ? (levelOf(levels[0]!) ?? "synced") : "synced",
    minReplicas: counts.length === 1 ? countOf(counts[0]!) : undefined,
  };
}

export function effectiveAcknowledgement(
  { level, minReplicas }: WantedAcknowledgement,
  replication: number,
  isMixedCluster: boolean,
): EffectiveAcknowledgement {
  const wanted = Math.min(Math.max(minReplicas ?? replication, 1), replication);
  if (!isMixedCluster)
    return { level, minReplicas: wanted, isReduced: false, isEarly: level === "replicated" };
  const isReduced = level !== "replicated" || wanted !== replication;
  return { level: "replicated", minReplicas: replication, isReduced, isEarly: false };
}

/**
 * Whether a route has enough members to commit. A journal that nobody wrote to since it was made, or resumed, waits for
 * all of them: its first members may merely be late.
 */
export function hasEnoughReplicas(
  members: number,
  { desiredReplicas, minReplicas }: { readonly desiredReplicas: number; readonly minReplicas: number },
  isUnwritten: boolean,
): boolean {
  return members >= (isUnwritten ? desiredReplicas : minReplicas);
}

function levelOf(value: string): AcknowledgementLevel | undefined {
  return value === "synced" || value === "replicated" ? value : undefined;
}

function countOf(value: string): number | undefined {
  return /^[1-9][0-9]{0,2}$/.test(value) ? Number(value) : undefined;
}

function shown(values: readonly string[]): string {
  return values.map((value) => JSON.stringify(value.slice(0, 40))).join(", ");
}
