// A lock that ends with its holder's lease. It keeps others from beginning; what must not be done by a holder whose
// lease has ended without its knowledge names `guard` in its transactions.
import { assert, equalBytes, WireError } from "@millrace/base";
import type { Compare, CoordinationStore, Key } from "./coordination.ts";
import type { Session } from "./session.ts";

export interface LeasedLock {
  readonly key: Key;
  /** Holds in a transaction as long as this lock does. */
  readonly guard: Compare;
  /** Aborts when the lease is lost. */
  readonly signal: AbortSignal;
  /** Deletes the key. A lock that is gone already is fine. @throws {WireError} of the store */
  release(signal: AbortSignal): Promise<void>;
}

export type LockOutcome =
  | { readonly kind: "locked"; readonly lock: LeasedLock }
  /** Another one has it; `value` is what its holder put there. */
  | { readonly kind: "taken"; readonly value: Uint8Array };

/** Tries in a row that may meet an unknown outcome, or a key that goes while it is looked at. */
const TRIES_MAX = 5;

/**
 * Takes the lock at `key` if nobody has it.
 * @param value says who holds it, and is another one for each try: so a try whose outcome is not known can be repeated
 * @throws {WireError} UNAVAILABLE when the lease has ended, or others of the store
 */
export async function tryLock(
  store: CoordinationStore,
  session: Session,
  { key, value }: { readonly key: Key; readonly value: Uint8Array },
  signal: AbortSignal,
): Promise<LockOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { header, succeeded, results } = await store.txn(
        {
          compare: [{ target: "version", key, op: "=", version: 0 }],
          success: [{ kind: "put", key, value, lease: session.lease }],
          failure: [{ kind: "range", key }],
        },
        signal,
      );
      if (succeeded) return locked(store, session, key, header.revision);
      const [found] = results;
      assert(found?.kind === "range", "a range answers with a range");
      const kv = found.kvs[0];
      assert(kv !== undefined, "a key with a version is there", { key });
      const isOurs = kv.lease === session.lease && equalBytes(kv.value, value);
      return isOurs ? locked(store, session, key, kv.createRevision) : { kind: "taken", value: kv.value };
    } catch (thrown) {
      const error = WireError.from(thrown);
      if (error.code === "NOT_FOUND")
        throw new WireError("UNAVAILABLE", `not locked: ${session.account}`, {
          cause: error,
          facts: { key },
        });
      if (error.code !== "OUTCOME_UNKNOWN" || attempt >= TRIES_MAX) throw error;
    }
  }
}

function locked(store: CoordinationStore, session: Session, key: Key, createRevision: number): LockOutcome {
  // The key's creation is the lock: whoever has it later has created it anew.
  const guard: Compare = { target: "create", key, op: "=", revision: createRevision };
  const release = async (signal: AbortSignal): Promise<void> => {
    await store.txn({ compare: [guard], success: [{ kind: "delete", key }] }, signal);
  };
  return { kind: "locked", lock: { key, guard, signal: session.signal, release } };
}
