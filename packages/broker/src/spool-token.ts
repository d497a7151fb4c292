// The right to write to a journal's spool, which one has at a time: the primary's pipeline, the Replicate stream of a
// primary elsewhere, or whoever brings the journal to what others have.
//
//  T1  It is handed on in the order in which it was asked for.
//  T2  While somebody waits, whoever has it is given `graceMs` to end by himself, as a primary does that has seen the
//      new route, so that a planned change of hands fails nothing; then he is evicted, and must let go soon (D12).
//  T3  Where the journal is over, whoever has it is evicted at once, and nobody gets it any more: not who waits either.
import { assert, Gate, never, WireError, type Clock } from "@millrace/base";

export interface SpoolUser {
  /** Take back what is not whole, and release. May be called at any time after the lease was given, once. */
  evict(reason: WireError): void;
}

export interface SpoolLease {
  /** Once. */
  release(): void;
}

interface Waiter {
  readonly user: SpoolUser;
  readonly granted: (lease: SpoolLease) => void;
  readonly refused: (reason: WireError) => void;
}

export class SpoolToken {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #journal: string;
  readonly #waiting: Waiter[] = [];
  #user: SpoolUser | undefined;
  #isEvicted = false;
  #cancelGrace: (() => void) | undefined;
  readonly #freed = new Gate();
  #over: WireError | undefined;

  constructor(journal: string, clock: Clock, graceMs: number) {
    this.#journal = journal;
    this.#clock = clock;
    this.#graceMs = graceMs;
  }

  /** Who has it. */
  get user(): SpoolUser | undefined {
    return this.#user;
  }

  /** @throws {WireError} NOT_FOUND: the journal is over; what aborted `signal` */
  take(user: SpoolUser, signal: AbortSignal): Promise<SpoolLease> {
    signal.throwIfAborted();
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (this.#user === undefined) return Promise.resolve(this.#grant(user));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const at = this.#waiting.indexOf(waiter);
        if (at >= 0) this.#waiting.splice(at, 1);
        if (this.#waiting.length === 0) this.#stopGrace();
        reject(signal.reason as Error);
      };
      const waiter: Waiter = {
        user,
        granted: (lease) => {
          signal.removeEventListener("abort", onAbort);
          resolve(lease);
        },
        refused: (reason) => {
          signal.removeEventListener("abort", onAbort);
          reject(reason);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiter);
      this.#cancelGrace ??= this.#clock.after(this.#graceMs, () => this.evict());
    });
  }

  /** Resolves when nobody has it, and nobody will (T3). */
  async end(): Promise<void> {
    const facts = { journal: this.#journal };
    this.#over ??= new WireError("NOT_FOUND", `journal ${this.#journal} was deleted`, { facts });
    for (const { refused } of this.#waiting.splice(0)) refused(this.#over);
    this.#stopGrace();
    this.evict();
    while (this.#user !== undefined) await this.#freed.next(never);
  }

  /** At once, if somebody has it: he is known to be out of date. */
  evict(): void {
    if (this.#user === undefined || this.#isEvicted) return;
    this.#isEvicted = true;
    const text = `journal ${this.#journal} has changed hands`;
    this.#user.evict(new WireError("UNAVAILABLE", text, { facts: { journal: this.#journal } }));
  }

  #grant(user: SpoolUser): SpoolLease {
    this.#user = user;
    this.#isEvicted = false;
    let isReleased = false;
    return {
      release: () => {
        assert(!isReleased, "a spool is released once", { journal: this.#journal });
        isReleased = true;
        this.#user = undefined;
        this.#freed.open();
        this.#stopGrace();
        const next = this.#waiting.shift();
        if (next === undefined) return;
        const lease = this.#grant(next.user);
        if (this.#waiting.length > 0)
          this.#cancelGrace = this.#clock.after(this.#graceMs, () => this.evict());
        next.granted(lease);
      },
    };
  }

  #stopGrace(): void {
    this.#cancelGrace?.();
    this.#cancelGrace = undefined;
  }
}
