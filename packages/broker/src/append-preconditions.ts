// What must hold before an append may write: step 8 of the append machine. Pure; the order of the checks is part of
// the protocol, because the first one that fails decides the status that the client sees.
import { unreachable } from "@millrace/base";
import {
  matchesSelector,
  mayWrite,
  resumeOffset,
  suspension,
  type AppendPreamble,
  type JournalSpec,
  type LabelSet,
  type Status,
  type Suspend,
} from "@millrace/protocol";
import type { FactsWanted, PreconditionFacts } from "./append-states.ts";

/** Checks of an unhealthy store that an append waits for before it is refused. */
const STORE_CHECKS_MAX = 5;
/** Age in seconds from which a journal without flush interval counts as flushed. */
const FLUSHED_AFTER_SECONDS = 24 * 60 * 60;

export type PreconditionOutcome =
  | { readonly kind: "wait"; readonly wanted: FactsWanted }
  | {
      readonly kind: "refuse";
      readonly status: Status;
      readonly registers?: LabelSet;
      readonly storeHealthError?: string;
    }
  /** Bring every replica to this offset first. */
  | { readonly kind: "sync"; readonly rollTo: number }
  | { readonly kind: "suspend"; readonly suspend: Suspend; readonly rollTo: number }
  | { readonly kind: "stream"; readonly rollTo: number; readonly barrierStatus: "OK" | "SUSPENDED" };

/** @param wakeups how often the store was found unhealthy and waited for */
export function decidePreconditions(
  request: AppendPreamble,
  spec: JournalSpec,
  facts: PreconditionFacts,
  wakeups: number,
  rollTo: number,
): PreconditionOutcome {
  if (!facts.firstRefreshDone) return { kind: "wait", wanted: "after-first-refresh" };
  if (facts.storeFailure !== undefined) {
    if (wakeups <= STORE_CHECKS_MAX) return { kind: "wait", wanted: "after-store-check" };
    const { url, reason } = facts.storeFailure;
    const storeHealthError = `fragment store ${url} unhealthy: ${reason}`;
    return { kind: "refuse", status: "FRAGMENT_STORE_UNHEALTHY", storeHealthError };
  }
  return decideOffsets(request, spec, facts) ?? decideSuspension(request, spec, facts, rollTo);
}

/** Registers and offsets; undefined when nothing stands against writing. */
function decideOffsets(
  request: AppendPreamble,
  spec: JournalSpec,
  facts: PreconditionFacts,
): PreconditionOutcome | undefined {
  const { spoolEnd, registers } = facts;
  const maxOffset = Math.max(spoolEnd, facts.indexEnd);
  const check = request.checkRegisters;
  if (check !== undefined && registers.labels.length > 0 && !matchesSelector(check, registers)) {
    return { kind: "refuse", status: "REGISTER_MISMATCH", registers };
  }
  const resumeAt = resumeOffset(spec);
  if (resumeAt === undefined) return { kind: "refuse", status: "INDEX_HAS_GREATER_OFFSET" };
  if (spoolEnd < resumeAt) return { kind: "sync", rollTo: resumeAt };
  if (spoolEnd !== maxOffset && request.offset === 0 && mayWrite(spec)) {
    return { kind: "refuse", status: "INDEX_HAS_GREATER_OFFSET" };
  }
  if (request.offset !== 0 && request.offset !== maxOffset)
    return { kind: "refuse", status: "WRONG_APPEND_OFFSET" };
  if (request.offset !== 0 && spoolEnd !== maxOffset) return { kind: "sync", rollTo: maxOffset };
  return undefined;
}

function decideSuspension(
  request: AppendPreamble,
  spec: JournalSpec,
  facts: PreconditionFacts,
  rollTo: number,
): PreconditionOutcome {
  const { level } = suspension(spec);
  const at = facts.spoolEnd;
  switch (request.suspend) {
    case "SUSPEND_RESUME":
      if (level !== "NONE") return { kind: "suspend", suspend: { level: "NONE", offset: at }, rollTo };
      break;
    case "SUSPEND_NO_RESUME":
      if (level !== "NONE") return { kind: "refuse", status: "SUSPENDED" };
      break;
    case "SUSPEND_IF_FLUSHED":
    case "SUSPEND_NOW":
      if (level !== "FULL" && facts.indexBegin === facts.indexEnd) {
        if (facts.isHeldElsewhere === undefined) return { kind: "wait", wanted: "with-holders" };
        if (!facts.isHeldElsewhere)
          return { kind: "suspend", suspend: { level: "FULL", offset: at }, rollTo };
      }
      if (level === "NONE" && (request.suspend === "SUSPEND_NOW" || !isDirty(spec, facts))) {
        return { kind: "suspend", suspend: { level: "PARTIAL", offset: at }, rollTo: at };
      }
      if (level === "PARTIAL") return stream(spec, facts, rollTo, "SUSPENDED");
      break;
    case "SUSPEND_KEEP":
      break;
    default:
      return unreachable(request.suspend);
  }
  return stream(spec, facts, rollTo, "OK");
}

/**
 * The first known write is rolled, hence persisted, before anything else is written. Gazette does it without a store
 * too, where it would only make two files of one.
 */
function stream(
  spec: JournalSpec,
  facts: PreconditionFacts,
  rollTo: number,
  barrierStatus: "OK" | "SUSPENDED",
): PreconditionOutcome {
  const isFirst = facts.spoolBegin === facts.indexBegin && spec.fragment.stores.length > 0;
  return { kind: "stream", rollTo: isFirst ? facts.spoolEnd : rollTo, barrierStatus };
}

/** Something was written lately: its last fragment is local, or younger than the flush interval. */
export function isDirty(spec: JournalSpec, facts: Pick<PreconditionFacts, "lastModTime" | "now">): boolean {
  const flushSeconds = spec.fragment.flushIntervalMs / 1000 || FLUSHED_AFTER_SECONDS;
  return facts.lastModTime === 0 || facts.lastModTime > facts.now - flushSeconds;
}
