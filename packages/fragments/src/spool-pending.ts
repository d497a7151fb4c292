// The queue of one spool: what was handed over and waits for the log. It keeps rules P1, P3 and P4 of durable-spool.ts.
//
//   waiting ---> logging ---> logged ---> applied and answered, from the head on
//      |            |
//      +-- failed --+           answered too; everything behind fails with it
import { WireError } from "@millrace/base";
import type { DirectBytes, EntryOwner, SpoolEntry } from "./spool-entry.ts";

export interface PendingHooks {
  /** Hands the entry's records to the log, which tells the queue. @returns why not */
  log(entry: SpoolEntry): WireError | undefined;
  /** Syncs the bytes of a direct append (D3), then calls `done`. */
  syncDirect(direct: DirectBytes, done: (failure: WireError | undefined) => void): void;
  /** The entry is durable: make it visible. */
  apply(entry: SpoolEntry): void;
  /** A commit is about to be told that it failed. */
  failed(outcome: "refused" | "unknown"): void;
  /** Entries failed and nothing is pending any more: stand where the last applied one left the spool. */
  reset(failure: WireError): void;
}

export class PendingEntries implements EntryOwner {
  readonly #hooks: PendingHooks;
  #head: SpoolEntry | undefined;
  #last: SpoolEntry | undefined;
  /** The direct append whose bytes are being synced (P3). */
  #holding: SpoolEntry | undefined;
  /** Why entries fail until the queue is empty (P4). */
  #failing: WireError | undefined;

  constructor(hooks: PendingHooks) {
    this.#hooks = hooks;
  }

  get isEmpty(): boolean {
    return this.#head === undefined;
  }

  /** Adds an entry. @param failure it fails, with all behind it, for this reason @returns whether it was taken */
  add(entry: SpoolEntry, failure: WireError | undefined): boolean {
    if (this.#last === undefined) this.#head = entry;
    else this.#last.next = entry;
    this.#last = entry;
    const reason = this.#failing ?? failure;
    if (entry.state === "failed") {
      this.#settleSoon();
    } else if (reason !== undefined) {
      this.#fail(entry, reason);
      this.#settleSoon();
    } else if (this.#holding === undefined) {
      this.#log(entry);
    }
    return !hasFailed(entry);
  }

  onEntryLogged(entry: SpoolEntry, failure: WireError | undefined): void {
    if (failure === undefined) entry.state = "logged";
    else this.#fail(entry, failure);
    this.#settle();
  }

  #log(entry: SpoolEntry): void {
    entry.state = "logging";
    if (entry.direct !== undefined) {
      this.#holding = entry;
      this.#hooks.syncDirect(entry.direct, (failure) => this.#onDirectSynced(entry, failure));
      return;
    }
    if (entry.isNothing) {
      entry.state = "logged"; // nothing to make durable, only its turn to wait for
      return this.#settleSoon();
    }
    const failure = this.#hooks.log(entry);
    if (failure === undefined) return;
    this.#fail(entry, failure);
    this.#settleSoon();
  }

  #onDirectSynced(entry: SpoolEntry, failure: WireError | undefined): void {
    const refusal = failure ?? this.#hooks.log(entry);
    this.#holding = undefined;
    if (refusal !== undefined) {
      this.#fail(entry, refusal);
      return this.#settle();
    }
    for (let next = entry.next; next !== undefined && this.#holding === undefined; next = next.next) {
      if (next.state === "waiting") this.#log(next);
    }
  }

  /** All behind it fails with it (P4); of what was handed to the log, the log will tell. */
  #fail(entry: SpoolEntry, failure: WireError): void {
    entry.fail(failure);
    this.#failing ??= refusalBehind(failure);
    for (let next = entry.next; next !== undefined; next = next.next) {
      if (next.state !== "logging") next.fail(this.#failing);
    }
  }

  /** Not in the caller's turn: nobody is answered before `commit` has returned. */
  #settleSoon(): void {
    queueMicrotask(() => this.#settle());
  }

  /** Answers entries from the head on, as far as their fate is known (P1). */
  #settle(): void {
    for (;;) {
      const entry = this.#head;
      if (entry === undefined || entry.state === "waiting" || entry.state === "logging") return;
      this.#head = entry.next;
      // An old one that pointed to the next would keep it, and so on: the collector takes a chain for alive.
      entry.next = undefined;
      if (entry.state === "logged") this.#hooks.apply(entry);
      if (this.#head === undefined) {
        this.#last = undefined;
        const failure = this.#failing;
        this.#failing = undefined;
        if (failure !== undefined) this.#hooks.reset(failure);
      }
      if (entry.onOutcome === undefined) continue;
      const outcome = entry.outcome();
      if (outcome.kind !== "acknowledged") this.#hooks.failed(outcome.kind);
      entry.onOutcome(outcome);
    }
  }
}

/** Nobody knows what became of the first one; but what was never handed to the log is surely not there. */
function refusalBehind(failure: WireError): WireError {
  if (failure.code !== "OUTCOME_UNKNOWN") return failure;
  return new WireError("UNAVAILABLE", `an append before it has no known outcome: ${failure.message}`);
}

function hasFailed({ state }: SpoolEntry): boolean {
  return state === "failed";
}
