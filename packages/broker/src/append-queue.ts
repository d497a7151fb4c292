// Who may write to a journal next: one holds the pipeline, the others wait.
//
//  Q1  At most one holds it; the others wait in the order they came, bounded in items and bytes.
//  Q2  Handing on needs no stack: whoever is granted it may give it back at once.
import { assert, WireError } from "@millrace/base";
import type { Route } from "@millrace/protocol";
import { APPEND_QUEUE_BYTES_MAX, APPEND_QUEUE_ITEMS_MAX } from "./limits.ts";

/** Who holds or waits for a pipeline. */
export interface PipelineUser {
  /** Bytes that wait with it. */
  readonly waitingBytes: number;
  /** Before those who wait: an operator mends what they wait for. */
  readonly goesFirst?: boolean;
  granted(route: Route | undefined): void;
  invalidated(): void;
  /** Gives the pipeline back at once, without having written. */
  aborted(reason: Error): void;
  /** What was appended before it may wait for the pipeline: it does not wait for that. Default: it never does. */
  stalled?(reason: Error): void;
  /** The same; who has not begun to write goes to whoever is primary now. */
  evicted(reason: Error): void;
}

export class AppendQueue {
  readonly #journal: string;
  /** What the peers are in sync for. */
  readonly #route: () => Route | undefined;
  readonly #waiting: PipelineUser[] = [];
  #waitingBytes = 0;
  #holder: PipelineUser | undefined;
  #isHandingOn = false;

  constructor(journal: string, route: () => Route | undefined) {
    this.#journal = journal;
    this.#route = route;
  }

  get holder(): PipelineUser | undefined {
    return this.#holder;
  }

  get hasWaiters(): boolean {
    return this.#waiting.length > 0;
  }

  /** @returns "queued": `granted` is called when its turn comes @throws OVERLOADED */
  acquire(user: PipelineUser): { readonly route: Route | undefined } | "queued" {
    if (this.#holder === undefined && this.#waiting.length === 0) {
      this.#holder = user;
      return { route: this.#route() };
    }
    const count = this.#waiting.length;
    const bytes = this.#waitingBytes + user.waitingBytes;
    if (count >= APPEND_QUEUE_ITEMS_MAX || (count > 0 && bytes > APPEND_QUEUE_BYTES_MAX)) {
      throw new WireError(
        "OVERLOADED",
        `${count} appends of ${this.#waitingBytes} bytes wait for journal ${this.#journal} ` +
          `(at most ${APPEND_QUEUE_ITEMS_MAX} and ${APPEND_QUEUE_BYTES_MAX} bytes)`,
        { facts: { journal: this.#journal, count, bytes: this.#waitingBytes } },
      );
    }
    if (user.goesFirst === true) this.#waiting.unshift(user);
    else this.#waiting.push(user);
    this.#waitingBytes = bytes;
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
    if (this.#isHandingOn) return; // Q2: the loop below goes on when the nested grant returns.
    this.#isHandingOn = true;
    while (this.#holder === undefined && this.#waiting.length > 0) {
      const next = this.#waiting.shift()!;
      this.#holder = next;
      this.#waitingBytes -= next.waitingBytes;
      next.granted(this.#route());
    }
    this.#isHandingOn = false;
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
