// Who may write to a journal next: one holds the pipeline, the others wait.
//
//  Q1  At most one holds it; the others wait in the order they came, bounded in items and bytes. Those that are not
//      whole have half of that, so that they keep no whole one out.
//  Q2  Handing on needs no stack: whoever is granted it may give it back at once.
//  Q3  Who would write what is not whole needs the journal's patience (T3): while there is none, others pass. When
//      nobody holds the pipeline, those who wait wait for that.
//  Q4  A holder that waits for its client hears when somebody comes to wait behind it.
import { assert, WireError, type Clock } from "@millrace/base";
import type { Route } from "@millrace/protocol";
import { APPEND_QUEUE_BYTES_MAX, APPEND_QUEUE_ITEMS_MAX } from "./limits.ts";
import type { Patience } from "./patience.ts";

/** Who holds or waits for a pipeline. */
export interface PipelineUser {
  /** Bytes that wait with it. */
  readonly waitingBytes: number;
  /** Before those who wait: an operator mends what they wait for. */
  readonly goesFirst?: boolean;
  /** More is to come from its client. */
  readonly isUnfinished?: boolean;
  /** It is not whole, and would begin to write (Q3). */
  readonly needsPatience?: boolean;
  /** What its client sends is what it waits for now. */
  readonly awaitsClient?: boolean;
  granted(route: Route | undefined): void;
  invalidated(): void;
  /** Gives the pipeline back at once, without having written. */
  aborted(reason: Error): void;
  /** Somebody waits behind it (Q4): told to a holder that awaits its client, or did a moment ago. */
  wanted?(): void;
  /** What was appended before it may wait for the pipeline: it does not wait for that. Default: it never does. */
  stalled?(reason: Error): void;
  /** The same; who has not begun to write goes to whoever is primary now. */
  evicted(reason: Error): void;
}

export class AppendQueue {
  readonly #journal: string;
  readonly #clock: Clock;
  readonly #patience: Patience;
  /** What the peers are in sync for. */
  readonly #route: () => Route | undefined;
  readonly #waiting: PipelineUser[] = [];
  #waitingBytes = 0;
  #holder: PipelineUser | undefined;
  #isHandingOn = false;
  /** A timer runs until there is patience. */
  #isBiding = false;

  constructor(journal: string, clock: Clock, patience: Patience, route: () => Route | undefined) {
    this.#journal = journal;
    this.#clock = clock;
    this.#patience = patience;
    this.#route = route;
  }

  get holder(): PipelineUser | undefined {
    return this.#holder;
  }

  get hasWaiters(): boolean {
    return this.#waiting.length > 0;
  }

  get hasWholeWaiter(): boolean {
    return this.#waiting.some((user) => user.isUnfinished !== true);
  }

  /** @returns "queued": `granted` is called when its turn comes @throws OVERLOADED */
  acquire(user: PipelineUser): { readonly route: Route | undefined } | "queued" {
    if (this.#holder === undefined && this.#mayPass(user)) {
      this.#holder = user;
      return { route: this.#route() };
    }
    this.#bound(user);
    if (user.goesFirst === true) this.#waiting.unshift(user);
    else this.#waiting.push(user);
    this.#waitingBytes += user.waitingBytes;
    this.#tellHolder();
    if (this.#holder === undefined && !this.#isHandingOn) this.#bide();
    return "queued";
  }

  /** Takes it as an append would, after those who wait. */
  take(): Promise<PipelineUser> {
    return new Promise((taken) => {
      const user = new QuietUser(taken);
      if (this.acquire(user) !== "queued") taken(user);
    });
  }

  /** Before all who wait. */
  takeFirst(): Promise<PipelineUser> {
    if (this.#holder === undefined) return this.take();
    return new Promise((taken) => {
      this.#waiting.unshift(new QuietUser(taken));
      this.#tellHolder();
    });
  }

  /** Forgets a waiter. */
  leave(user: PipelineUser): void {
    const at = this.#waiting.indexOf(user);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#waitingBytes -= user.waitingBytes;
  }

  /** Tells all what they resolved is out of date; those who wait leave. */
  invalidate(): void {
    const users = this.#waiting.splice(0);
    this.#waitingBytes = 0;
    const kept = users.filter((user) => user instanceof QuietUser);
    this.#waiting.push(...kept);
    this.#holder?.invalidated();
    for (const user of users) user.invalidated();
  }

  release(user: PipelineUser): void {
    assert(this.#holder === user, "the pipeline is released by its holder", { journal: this.#journal });
    this.#holder = undefined;
    if (!this.#isHandingOn) this.#handOn(); // Q2: else its loop goes on when the nested grant returns.
  }

  #handOn(): void {
    this.#isHandingOn = true;
    while (this.#holder === undefined) {
      const next = this.#takeNext();
      if (next === undefined) break;
      this.#holder = next;
      this.#waitingBytes -= next.waitingBytes;
      next.granted(this.#route());
    }
    this.#isHandingOn = false;
    if (this.#holder === undefined && this.#waiting.length > 0) this.#bide();
  }

  /** Q3 */
  #takeNext(): PipelineUser | undefined {
    const first = this.#waiting[0];
    if (first?.needsPatience !== true || this.#untilPatientMs() === 0) return this.#waiting.shift();
    const at = this.#waiting.findIndex(({ needsPatience }) => needsPatience !== true);
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  /** Whether somebody who comes while nobody holds it has it at once: those who wait then wait for patience. */
  #mayPass(user: PipelineUser): boolean {
    if (this.#waiting.length > 0 && this.#isHandingOn) return false;
    if (user.needsPatience !== true) return true;
    return this.#waiting.length === 0 && this.#untilPatientMs() === 0;
  }

  /** Q1 @throws {WireError} OVERLOADED */
  #bound(user: PipelineUser): void {
    const parts = user.isUnfinished === true ? 2 : 1;
    const countMax = APPEND_QUEUE_ITEMS_MAX / parts;
    const bytesMax = APPEND_QUEUE_BYTES_MAX / parts;
    const count = this.#waiting.length;
    const isFull = count > 0 && this.#waitingBytes + user.waitingBytes > bytesMax;
    if (count < countMax && !isFull) return;
    const before = user.isUnfinished === true ? " before one that is not whole" : "";
    throw new WireError(
      "OVERLOADED",
      `${count} appends of ${this.#waitingBytes} bytes wait for journal ${this.#journal} ` +
        `(at most ${countMax} and ${bytesMax} bytes${before})`,
      { facts: { journal: this.#journal, count, bytes: this.#waitingBytes } },
    );
  }

  /** Q4: in a turn of its own, because it may give the pipeline back at once. */
  #tellHolder(): void {
    if (this.#holder?.awaitsClient !== true) return;
    queueMicrotask(() => {
      if (this.#waiting.length > 0) this.#holder?.wanted?.();
    });
  }

  #untilPatientMs(): number {
    return this.#patience.untilEnoughMs(this.#clock.monotonicMs());
  }

  #bide(): void {
    if (this.#isBiding) return;
    this.#isBiding = true;
    this.#clock.after(this.#untilPatientMs(), () => {
      this.#isBiding = false;
      if (this.#holder === undefined && !this.#isHandingOn) this.#handOn();
    });
  }
}

/** Not an append: nothing that it resolved goes out of date. */
class QuietUser implements PipelineUser {
  readonly waitingBytes = 0;
  readonly #taken: (user: PipelineUser) => void;

  constructor(taken: (user: PipelineUser) => void) {
    this.#taken = taken;
  }

  granted(): void {
    this.#taken(this);
  }

  invalidated(): void {}

  aborted(): void {}

  evicted(): void {}
}
