// What a process says of itself in the coordination store: keys under one lease, which end with it. A lease that is
// lost is followed by another one, under which the same keys are put again.
//
// Y1 `lease` is undefined from the moment that its loss is known: whatever stood under it may be somebody else's now.
// Y2 A key that stands there with another owner is waited for, never overwritten: a process that died is waited out,
//    and of two with one name the second one does not come in.
// Y3 A key is put again until it holds the newest value; puts are guarded by the lease, so that one whose outcome is
//    not known can be repeated.
import {
  abortScope,
  assert,
  Gate,
  TaskGroup,
  WireError,
  waitUntil,
  type Clock,
  type Logger,
} from "@millrace/base";
import type { CoordinationStore, Key, TxnResponse } from "./coordination.ts";
import { openSession, type Session } from "./session.ts";

export interface LeasedKeysOptions {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Seconds without renewal after which the keys go. */
  readonly ttlSeconds: number;
  /** What a person sets `ttlSeconds` by. */
  readonly setting?: string;
}

/** A key that is held. */
export interface LeasedKey {
  readonly key: Key;
  /** Whether somebody else's key stands in its place. */
  readonly isTaken: boolean;
  /** Changes its value; the newest one counts. */
  set(value: Uint8Array): void;
  /** Holds it no longer: it is deleted, unless it goes with its lease before. */
  release(): void;
}

/** Waits before the n-th try in a row to get a lease or to put a key; the last one repeats. */
const RETRY_MS = [200, 500, 1000, 2000] as const;
/** Between two looks whether another owner's key is gone. */
const TAKEN_RETRY_MS = 1000;
/** A closing process waits so long for its lease to be revoked; then it ends by itself. */
const CLOSE_MS = 2000;

interface Held extends LeasedKey {
  isTaken: boolean;
  value: Uint8Array;
  /** Of the newest value, counted; what stands in the store under `placedLease`. */
  version: number;
  placedVersion: number;
  placedLease: bigint | undefined;
  isReleased: boolean;
}

export class LeasedKeys {
  readonly #options: LeasedKeysOptions;
  readonly #held = new Map<Key, Held>();
  readonly #changed = new Gate();
  readonly #listeners = new Set<() => void>();
  #session: Session | undefined;
  #isClosed = false;

  constructor(options: LeasedKeysOptions) {
    this.#options = options;
  }

  /** Undefined while there is none (Y1). */
  get lease(): bigint | undefined {
    return this.#session?.isLost === false ? this.#session.lease : undefined;
  }

  /** Keys in whose place another owner's stand. */
  get taken(): readonly Key[] {
    return [...this.#held.values()].filter(({ isTaken }) => isTaken).map(({ key }) => key);
  }

  /** Calls `listener` when a lease has begun or was lost. @returns a function that ends it */
  observe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The session under way, or the next one. @throws `signal.reason` */
  async session(signal: AbortSignal): Promise<Session> {
    await waitUntil(this.#changed, () => this.lease !== undefined, signal);
    return this.#session!;
  }

  /** Puts `value` at `key` now, and again under each lease to come. A key is held once. */
  hold(key: Key, value: Uint8Array): LeasedKey {
    assert(!this.#held.has(key), "a key is held once", { key });
    const held: Held = {
      key,
      value,
      version: 1,
      placedVersion: 0,
      placedLease: undefined,
      isTaken: false,
      isReleased: false,
      set: (newer) => {
        held.value = newer;
        held.version++;
        this.#changed.open();
      },
      release: () => {
        held.isReleased = true;
        this.#changed.open();
      },
    };
    this.#held.set(key, held);
    this.#changed.open();
    return held;
  }

  /** Holds leases until `signal` aborts, then revokes the last. Call once. @throws the first failure that is a bug */
  async run(signal: AbortSignal): Promise<void> {
    assert(!this.#isClosed, "leased keys run once");
    for (let failures = 0; !signal.aborted;) {
      const session = await this.#open(signal).catch((thrown: unknown) => {
        if (!signal.aborted)
          this.#options.logger.warn("lease-not-granted", { error: WireError.from(thrown) });
        return undefined;
      });
      if (session === undefined) await this.#pause(failures++, signal);
      else {
        failures = 0;
        await this.#serve(session, signal);
      }
    }
    this.#isClosed = true;
  }

  async #open(signal: AbortSignal): Promise<Session> {
    const { logger } = this.#options;
    const onLost = (reason: WireError): void => {
      logger.warn("lease-lost", { error: reason });
      this.#notify();
    };
    return openSession({ ...this.#options, onLost }, signal);
  }

  /** Until the lease is lost, or `signal` aborts. */
  async #serve(session: Session, signal: AbortSignal): Promise<void> {
    const scope = abortScope(signal);
    const onLost = (): void => scope.abort(session.signal.reason);
    if (session.isLost) onLost();
    else session.signal.addEventListener("abort", onLost, { once: true });
    this.#session = session;
    this.#notify();
    try {
      await this.#place(session, scope.signal);
    } finally {
      scope.dispose();
      session.signal.removeEventListener("abort", onLost);
      this.#session = undefined;
      this.#notify();
      await this.#close(session);
    }
  }

  /** Keeps every key that is held at its newest value. @throws the first failure that is a bug */
  async #place(session: Session, signal: AbortSignal): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    const tasks = new TaskGroup("leased keys", (_task, error) => {
      failure ??= { error };
      this.#changed.open();
    });
    const running = new Set<Held>();
    try {
      while (!signal.aborted && failure === undefined) {
        for (const held of this.#held.values()) {
          if (running.has(held)) continue;
          running.add(held);
          tasks.spawn(held.key, async (stopping) => {
            await this.#keep(held, session, stopping);
            running.delete(held);
          });
        }
        await this.#changed.next(signal).catch(() => undefined);
      }
    } finally {
      await tasks.close();
    }
    if (failure !== undefined) throw failure.error;
  }

  /** Until it is released. */
  async #keep(held: Held, session: Session, signal: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    for (let failures = 0; ;) {
      const isThere = held.placedLease === session.lease;
      const due = held.isReleased || !isThere || held.placedVersion < held.version;
      try {
        if (!due) {
          await this.#changed.next(signal);
          continue;
        }
        if (held.isReleased) {
          if (isThere) await this.#remove(held, session.lease, signal);
          this.#held.delete(held.key);
          return;
        }
        await this.#put(held, session.lease, signal);
        failures = 0;
        if (held.placedLease !== session.lease) await this.#options.clock.sleep(TAKEN_RETRY_MS, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        const error = WireError.from(thrown);
        logger.warn("leased-key-not-put", { key: held.key, error });
        await this.#pause(failures++, signal);
        if (signal.aborted) return;
      }
    }
  }

  /** Y2, Y3 */
  async #put(held: Held, lease: bigint, signal: AbortSignal): Promise<void> {
    const { key, value, version } = held;
    const success = [{ kind: "put", key, value, lease }] as const;
    const ours = [{ target: "lease", key, op: "=", lease }] as const;
    const nobodys = [{ target: "version", key, op: "=", version: 0 }] as const;
    // What is there mostly, first.
    for (const compare of held.placedLease === lease ? [ours, nobodys] : [nobodys, ours]) {
      if (!(await this.#txn({ compare, success }, signal)).succeeded) continue;
      held.placedLease = lease;
      held.placedVersion = version;
      held.isTaken = false;
      return;
    }
    held.placedLease = undefined;
    if (!held.isTaken) this.#options.logger.warn("leased-key-taken", { key, retryMs: TAKEN_RETRY_MS });
    held.isTaken = true;
  }

  async #remove({ key }: Held, lease: bigint, signal: AbortSignal): Promise<void> {
    const compare = [{ target: "lease", key, op: "=", lease }] as const;
    await this.#txn({ compare, success: [{ kind: "delete", key }] }, signal);
  }

  #txn(request: Parameters<CoordinationStore["txn"]>[0], signal: AbortSignal): Promise<TxnResponse> {
    return this.#options.store.txn(request, signal);
  }

  async #close(session: Session): Promise<void> {
    const { clock, logger } = this.#options;
    const limit = new AbortController();
    const cancel = clock.after(CLOSE_MS, () =>
      limit.abort(new WireError("UNAVAILABLE", "no answer in time")),
    );
    try {
      await session.close(limit.signal);
    } catch (thrown) {
      logger.warn("lease-not-revoked", { error: WireError.from(thrown) });
    } finally {
      cancel();
    }
  }

  async #pause(failures: number, signal: AbortSignal): Promise<void> {
    const waitMs = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]!;
    await this.#options.clock.sleep(waitMs, signal).catch(() => undefined);
  }

  #notify(): void {
    this.#changed.open();
    for (const listener of [...this.#listeners]) listener();
  }
}
