// One task at a time for each object (specification 1.13): a key of the store under a lease of 15 s, written in the
// same transaction as the task's record. It goes with the process that holds it, whatever becomes of that.
import { text, utf8, WireError, type Clock, type Logger } from "@millrace/base";
import { keyOf, openSession, type CoordinationStore, type Key, type StoreOp } from "@millrace/metadata";

export interface TaskLock {
  /** Aborts when the lock is lost. */
  readonly signal: AbortSignal;
  /** Never throws: a lock that cannot be given back ends with its lease. */
  release(): Promise<void>;
}

export type LockOutcome =
  | { readonly kind: "locked"; readonly lock: TaskLock }
  /** @property by the task that has it; undefined when it has let go meanwhile */
  | { readonly kind: "taken"; readonly by: string | undefined };

export interface LockPorts {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

const PREFIX = "stream/runtime/lock/task/";
const TTL_SECONDS = 15;
const RELEASE_MS = 2000;

/** @param objectKey of the object, without the project */
export function lockKey(projectId: number, objectKey: string): Key {
  return keyOf(`${PREFIX}${projectId}/${objectKey}`);
}

/**
 * Takes the lock for `taskId` and writes `ops` with it; neither happens when another task has it.
 * @throws {WireError} what the store says
 */
export async function takeLock(
  ports: LockPorts,
  key: Key,
  taskId: string,
  ops: readonly StoreOp[],
  signal: AbortSignal,
): Promise<LockOutcome> {
  const { store, clock, logger } = ports;
  const onLost = (reason: WireError): void => logger.warn("task-lock-lost", { task: taskId, error: reason });
  const session = await openSession({ store, clock, logger, ttlSeconds: TTL_SECONDS, onLost }, signal);
  const release = async (): Promise<void> => {
    const late = new AbortController();
    const cancel = clock.after(RELEASE_MS, () => late.abort(new WireError("UNAVAILABLE", "took too long")));
    try {
      await session.close(late.signal);
    } catch (thrown) {
      logger.warn("task-lock-not-released", { task: taskId, error: WireError.from(thrown) });
    } finally {
      cancel();
    }
  };
  try {
    const { succeeded, results } = await store.txn(
      {
        compare: [{ target: "version", key, op: "=", version: 0 }],
        success: [{ kind: "put", key, value: utf8(taskId), lease: session.lease }, ...ops],
        failure: [{ kind: "range", key }],
      },
      signal,
    );
    if (succeeded) return { kind: "locked", lock: { signal: session.signal, release } };
    const found = results[0]?.kind === "range" ? results[0].kvs[0] : undefined;
    await release();
    return { kind: "taken", by: found === undefined ? undefined : text(found.value) };
  } catch (thrown) {
    await release();
    throw thrown;
  }
}
