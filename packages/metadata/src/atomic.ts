// Read, compute, write in one guarded transaction; again from the start when somebody else was faster. All reads of one
// attempt see the same revision, and the transaction holds only if nothing that was read has changed since.
import { assert, WireError, type Clock } from "@millrace/base";
import type { Compare, CoordinationStore, Key, KeyValue, StoreOp, StoreOpResult } from "./coordination.ts";
import { prefixRange } from "./key.ts";

export interface AtomicOptions {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  /** First wait after a conflict, doubled each time. Default 10 ms. */
  readonly backoffMinMs?: number;
  /** Longest wait. Default 2 s. */
  readonly backoffMaxMs?: number;
  /** After this time a conflict is given up. Default 15 s. */
  readonly totalMs?: number;
}

/** What the read phase may look at. Everything but peek() becomes a guard of the transaction. */
export interface AtomicReads {
  /** The revision that all reads of this attempt see; 0 before the first. */
  readonly revision: number;
  get(key: Key): Promise<KeyValue | undefined>;
  /** All keys under `prefix`, guarded one by one (each is a compare: D26) and against new ones. */
  prefix(prefix: Key): Promise<readonly KeyValue[]>;
  /** As get(), without a guard. */
  peek(key: Key): Promise<KeyValue | undefined>;
  /** As prefix(), without a guard. */
  peekPrefix(prefix: Key): Promise<readonly KeyValue[]>;
}

export interface AtomicPlan<T> {
  /** Nothing to write: no transaction, and the reads, which are of one revision, stand as they are. */
  readonly ops: readonly StoreOp[];
  /** Further guards, such as the ownership of a lock. */
  readonly compare?: readonly Compare[];
  readonly result: T;
}

export interface AtomicOutcome<T> {
  readonly result: T;
  /** Of the transaction, or of the reads when nothing was written. */
  readonly revision: number;
  readonly results: readonly StoreOpResult[];
  /** Attempts that conflicted. */
  readonly conflicts: number;
}

/**
 * @param attempt may run several times; must have no effect but its plan. What it throws ends the operation
 * @throws {WireError} CONFLICT after `totalMs`; what the store says otherwise, OUTCOME_UNKNOWN among it
 */
export async function atomically<T>(
  options: AtomicOptions,
  attempt: (reads: AtomicReads) => Promise<AtomicPlan<T>>,
  signal: AbortSignal,
): Promise<AtomicOutcome<T>> {
  const { store, clock, backoffMinMs = 10, backoffMaxMs = 2000, totalMs = 15_000 } = options;
  const endMs = clock.monotonicMs() + totalMs;
  let waitMs = backoffMinMs;
  for (let conflicts = 0; ; conflicts++) {
    const outcome = await attemptOnce(store, attempt, signal);
    if (outcome !== undefined) return { ...outcome, conflicts };
    if (clock.monotonicMs() + waitMs > endMs) {
      throw new WireError("CONFLICT", `gave up after ${conflicts + 1} conflicts in ${totalMs} ms`);
    }
    await clock.sleep(waitMs, signal);
    waitMs = Math.min(2 * waitMs, backoffMaxMs);
  }
}

/** @returns undefined on a conflict */
async function attemptOnce<T>(
  store: CoordinationStore,
  attempt: (reads: AtomicReads) => Promise<AtomicPlan<T>>,
  signal: AbortSignal,
): Promise<Omit<AtomicOutcome<T>, "conflicts"> | undefined> {
  const reads = new TrackedReads(store, signal);
  try {
    const plan = await attempt(reads);
    if (plan.ops.length === 0 && plan.compare === undefined) {
      return { result: plan.result, revision: reads.revision, results: [] };
    }
    const compare = [...reads.guards(), ...(plan.compare ?? [])];
    const { succeeded, header, results } = await store.txn({ compare, success: plan.ops }, signal);
    return succeeded ? { result: plan.result, revision: header.revision, results } : undefined;
  } catch (thrown) {
    if (thrown instanceof WireError && thrown.code === "COMPACTED") return undefined; // the revision read is too old
    throw thrown;
  }
}

class TrackedReads implements AtomicReads {
  readonly #store: CoordinationStore;
  readonly #signal: AbortSignal;
  readonly #guards = new Map<string, Compare>();
  #revision = 0;

  constructor(store: CoordinationStore, signal: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  get revision(): number {
    return this.#revision;
  }

  guards(): readonly Compare[] {
    return [...this.#guards.values()];
  }

  async get(key: Key): Promise<KeyValue | undefined> {
    const kv = await this.peek(key);
    this.#guard(key, kv);
    return kv;
  }

  async prefix(prefix: Key): Promise<readonly KeyValue[]> {
    const kvs = await this.peekPrefix(prefix);
    for (const kv of kvs) this.#guard(kv.key, kv);
    const range = prefixRange(prefix);
    const newer: Compare = { target: "create", ...range, op: "<", revision: this.#revision + 1 };
    this.#guards.set(`prefix ${prefix}`, newer);
    return kvs;
  }

  async peek(key: Key): Promise<KeyValue | undefined> {
    return (await this.#range({ key }))[0];
  }

  peekPrefix(prefix: Key): Promise<readonly KeyValue[]> {
    return this.#range(prefixRange(prefix));
  }

  async #range(range: { readonly key: Key; readonly end?: Key }): Promise<readonly KeyValue[]> {
    const { kvs, header } = await this.#store.range({ ...range, revision: this.#revision }, this.#signal);
    if (this.#revision === 0) this.#revision = header.revision;
    return kvs;
  }

  /** A missing key is guarded by its version: 0. */
  #guard(key: Key, kv: KeyValue | undefined): void {
    const compare: Compare =
      kv === undefined
        ? { target: "version", key, op: "=", version: 0 }
        : { target: "mod", key, op: "=", revision: kv.modRevision };
    assert(this.#revision > 0, "a guard comes from a read");
    this.#guards.set(`key ${key}`, compare);
  }
}
