// A process's presence in the coordination store: one lease, kept alive, and the keys that end with it.
import { abortScope, assert, Gate, PassedTime, WireError, type Clock, type Logger } from "@millrace/base";
import type { CoordinationStore, Key } from "./coordination.ts";

export interface SessionOptions {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Seconds without renewal after which the lease ends. Renewed after each third of it. */
  readonly ttlSeconds: number;
  /** What a person sets `ttlSeconds` by, for what is said when the lease is lost. */
  readonly setting?: string;
  /** Called once when the lease is lost: what stood under it is gone or about to go. Not called on close(). */
  readonly onLost: (reason: WireError) => void;
  /** Called each time when a key that is to be announced stands there with another owner. */
  readonly onTaken?: (key: Key) => void;
}

/** How long an announcement waits before it looks again whether another owner's key is gone. */
const ANNOUNCE_RETRY_MS = 1_000;
/** Tries after which a key that is taken is told again. */
const TELL_TAKEN_EVERY = 10;
const RENEW_RETRY_MS = 200;
/** A renewal that is asked for so much later than it was meant to has been held up by this process or its machine. */
const LATE_MS = 500;
/** What a process that was held up past its lease waits for the store's word on it. */
const HELD_UP_ANSWER_MS = 2_000;

/** Grants a lease and starts to renew it; `signal` ends only the granting. @throws {WireError} what the store says */
export async function openSession(options: SessionOptions, signal: AbortSignal): Promise<Session> {
  const { store, clock, ttlSeconds } = options;
  // A lease goes on to end while this machine sleeps.
  const time = new PassedTime(clock);
  const grantedMs = time.ms();
  const lease = await store.grantLease(ttlSeconds, signal);
  return new Session(options, lease, { time, grantedMs });
}

export class Session {
  readonly lease: bigint;
  readonly #options: SessionOptions;
  readonly #time: PassedTime;
  readonly #controller = new AbortController();
  readonly #renewing: Promise<void>;
  #deadlineMs: number;
  /** When the next renewal, or the one under way, was to be asked for, and when it was. */
  #dueMs = Number.POSITIVE_INFINITY;
  #sentMs: number | undefined;
  #isLost = false;
  /** A renewal was answered, or there will be none. */
  readonly #renewed = new Gate();
  /** Ends the pause before the next renewal. */
  #hurry: (() => void) | undefined;

  /** Use {@link openSession}. */
  constructor(
    options: SessionOptions,
    lease: bigint,
    { time, grantedMs }: { readonly time: PassedTime; readonly grantedMs: number },
  ) {
    this.lease = lease;
    this.#options = options;
    this.#time = time;
    this.#deadlineMs = grantedMs + options.ttlSeconds * 1000;
    this.#renewing = this.#renew(this.#controller.signal);
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** The lease would have ended by now, for all that this process knows: a pause may just be over. */
  get isLate(): boolean {
    return this.#time.ms() >= this.#deadlineMs;
  }

  /**
   * Whether the lease lives. While it is late, by all that this process knows, the store is asked at once: the wall
   * clock may have been set ahead. @throws what aborted `signal`
   */
  async isAlive(signal: AbortSignal): Promise<boolean> {
    while (this.isLate && !this.signal.aborted) {
      this.#hurry?.();
      await this.#renewed.next(signal);
    }
    return !this.signal.aborted;
  }

  /** How the lease is, for whoever runs the process and asks why what stood under it is gone. */
  get account(): string {
    const { ttlSeconds, setting } = this.#options;
    const nowMs = this.#time.ms();
    const lease = `its lease (${setting === undefined ? "" : `${setting}, `}${ttlSeconds} s)`;
    const leftMs = this.#deadlineMs - nowMs;
    if (leftMs > 0) return `${lease} would have lasted for ${seconds(leftMs)} yet, and was not ended here`;
    const lateMs = (this.#sentMs ?? nowMs) - this.#dueMs;
    const late =
      lateMs < LATE_MS ? "" : `, ${seconds(lateMs)} after it was to: it, or its machine, was held up`;
    const asked = this.#sentMs === undefined ? "has not asked for its renewal" : "asked for its renewal";
    const how = late === "" ? "no renewal was answered in time" : `this process ${asked}${late}`;
    return `${lease} ended ${seconds(-leftMs)} ago: ${how}`;
  }

  /** Aborts when the session closes or its lease is lost. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Creates `key` under this session's lease. While another owner's key stands there it tries again each second, for
   * ever: so a restarted process with a fixed name waits out its predecessor's lease.
   * @returns the revision of the announcement; a key that is already ours counts
   * @throws {WireError} UNAVAILABLE when the lease has ended; of the store; `signal.reason`
   */
  async announce(key: Key, value: Uint8Array, signal: AbortSignal): Promise<number> {
    for (let attempt = 0; ; attempt++) {
      const revision = await this.#tryAnnounce(key, value, signal).catch((thrown: unknown) => {
        const error = WireError.from(thrown);
        if (error.code !== "NOT_FOUND") throw error;
        const text = `not announced: ${this.account}: ${error.message}`;
        throw new WireError("UNAVAILABLE", text, { cause: error, facts: { key } });
      });
      if (revision !== undefined) return revision;
      const facts = { key, attempt, retryMs: ANNOUNCE_RETRY_MS };
      if (attempt % TELL_TAKEN_EVERY === 0) this.#options.logger.warn("session-key-taken", facts);
      this.#options.onTaken?.(key);
      await this.#options.clock.sleep(ANNOUNCE_RETRY_MS, signal);
    }
  }

  /**
   * Puts a new value at an announced key, whose newest modification must be `revision`. @returns the new revision
   * @throws {WireError} ETCD_TRANSACTION_FAILED when somebody else has changed or deleted it
   */
  async update(key: Key, value: Uint8Array, revision: number, signal: AbortSignal): Promise<number> {
    const { header, succeeded } = await this.#options.store.txn(
      {
        compare: [{ target: "mod", key, op: "=", revision }],
        success: [{ kind: "put", key, value, ignoreLease: true }],
      },
      signal,
    );
    if (succeeded) return header.revision;
    const message = `key modified or deleted externally (expected revision ${revision})`;
    throw new WireError("ETCD_TRANSACTION_FAILED", message, { facts: { key, revision } });
  }

  /** Stops renewing and revokes the lease, which deletes its keys. A lease that is gone already is fine. */
  async close(signal: AbortSignal): Promise<void> {
    this.#controller.abort(new WireError("SHUTTING_DOWN", "the session is closing"));
    await this.#renewing;
    if (this.#isLost) return;
    try {
      await this.#options.store.revokeLease(this.lease, signal);
    } catch (thrown) {
      const error = WireError.from(thrown);
      if (error.code !== "NOT_FOUND") throw error;
    }
  }

  async #tryAnnounce(key: Key, value: Uint8Array, signal: AbortSignal): Promise<number | undefined> {
    const { header, succeeded, results } = await this.#options.store.txn(
      {
        compare: [{ target: "version", key, op: "=", version: 0 }],
        success: [{ kind: "put", key, value, lease: this.lease }],
        failure: [{ kind: "range", key }],
      },
      signal,
    );
    if (succeeded) return header.revision;
    const found = results[0];
    assert(found?.kind === "range", "a range answers with a range");
    const kv = found.kvs[0];
    return kv?.lease === this.lease ? kv.modRevision : undefined;
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { store, logger, ttlSeconds } = this.#options;
    let waitMs = (ttlSeconds * 1000) / 3;
    for (;;) {
      this.#dueMs = this.#time.ms() + waitMs;
      this.#sentMs = undefined;
      if (!(await this.#pause(waitMs, signal))) return;
      const sentMs = this.#time.ms();
      this.#sentMs = sentMs;
      const attempt = abortScope(signal);
      const cancel = this.#endAtDeadline(sentMs, () =>
        attempt.abort(new WireError("UNAVAILABLE", "no answer before the lease ended")),
      );
      try {
        const remaining = await store.keepAlive(this.lease, attempt.signal);
        this.#deadlineMs = sentMs + remaining * 1000;
        waitMs = (ttlSeconds * 1000) / 3;
      } catch (thrown) {
        if (signal.aborted) return;
        const error = WireError.from(thrown);
        // After a pause of this process the deadline is past, and yet the lease may live: only the store knows.
        if (error.code === "NOT_FOUND" || this.#time.ms() >= this.#deadlineMs) {
          this.#lose(error);
          return;
        }
        waitMs = Math.min(RENEW_RETRY_MS, this.#deadlineMs - this.#time.ms());
        logger.warn("session-renewal-failed", { lease: this.lease, error });
      } finally {
        cancel();
        attempt.dispose();
        this.#renewed.open();
      }
    }
  }

  /**
   * Nobody waits for an answer beyond the lease (D16): who is cut off without a word must end when others go on. But
   * what comes late, since this process was held up, is no silence of the store's: its answer may be here in a moment.
   * @returns what cancels it
   */
  #endAtDeadline(sentMs: number, end: () => void): () => void {
    const { clock } = this.#options;
    const leftMs = this.#deadlineMs - sentMs;
    if (leftMs <= 0) return clock.after(sentMs - this.#dueMs < LATE_MS ? 0 : HELD_UP_ANSWER_MS, end);
    let cancel = clock.after(leftMs, () => {
      if (this.#time.ms() - this.#deadlineMs < LATE_MS) end();
      else cancel = clock.after(HELD_UP_ANSWER_MS, end);
    });
    return () => cancel();
  }

  /** @returns whether the next renewal is due; else the session closes */
  async #pause(ms: number, signal: AbortSignal): Promise<boolean> {
    const pause = abortScope(signal);
    this.#hurry = () => pause.abort(new WireError("UNAVAILABLE", "the lease is late"));
    await this.#options.clock.sleep(ms, pause.signal).catch(() => undefined);
    this.#hurry = undefined;
    pause.dispose();
    if (signal.aborted) this.#renewed.open();
    return !signal.aborted;
  }

  #lose(error: WireError): void {
    this.#isLost = true;
    const text = `unable to keep member lease alive: ${this.account}: ${error.message}`;
    const reason = new WireError("UNAVAILABLE", text, { cause: error });
    this.#controller.abort(reason);
    this.#options.onLost(reason);
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
