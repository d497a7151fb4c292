// One journal that is assigned to this broker: its spool, its index of fragments and the queue of its appends. A shell;
// what an append may do is decided by append-fsm.ts.
//
//  J1  At most one append holds the pipeline; the others wait in the order they came, bounded in items and bytes.
//  J2  The pipeline is handed on when an append's bytes went to commit: the next writes while they become durable.
//  J3  `close` takes the pipeline as an append would, after those that hold or wait for it now, and never gives it back.
import { assert, Gate, never, waitUntil, WireError, type Clock, type Logger } from "@millrace/base";
import { FragmentIndex, type JournalLife, type Spool } from "@millrace/fragments";
import type { JournalSpec, LabelSet, Route } from "@millrace/protocol";
import type { PreconditionFacts } from "./append-states.ts";
import { APPEND_QUEUE_BYTES_MAX, APPEND_QUEUE_ITEMS_MAX } from "./limits.ts";
import { rollBegin } from "./roll-rule.ts";

/** Who holds or waits for a pipeline. */
export interface PipelineUser {
  /** Bytes that wait with it. */
  readonly waitingBytes: number;
  granted(route: Route | undefined): void;
  invalidated(): void;
}

export interface ReplicaPorts {
  /** The spool of a journal's life; asked again for the same life it gives the same one. */
  claim(life: JournalLife, atLeast: number): Promise<Spool>;
  readonly clock: Clock;
  readonly logger: Logger;
}

let lastId = 0;

export class JournalReplica {
  /** Never 0, and never that of another replica of this process. */
  readonly id: number = ++lastId;
  readonly journal: string;
  readonly createRevision: number;
  readonly index = new FragmentIndex();
  readonly #ports: ReplicaPorts;
  readonly #opened = new Gate();
  readonly #closed = new AbortController();
  readonly #waiting: PipelineUser[] = [];
  #waitingBytes = 0;
  #holder: PipelineUser | undefined;
  #isHandingOn = false;
  #route: Route | undefined;
  #spec: JournalSpec;
  #spool: Spool | undefined;
  #openError: WireError | undefined;
  #unsubscribe: () => void = () => undefined;
  #commits = 0;
  #acknowledged = 0;
  #barriers: { readonly commit: number; readonly reached: () => void }[] = [];

  constructor(ports: ReplicaPorts, spec: JournalSpec, createRevision: number) {
    this.#ports = ports;
    this.journal = spec.name;
    this.createRevision = createRevision;
    this.#spec = spec;
  }

  get spec(): JournalSpec {
    return this.#spec;
  }

  /** Aborts when the replica has closed: reads end. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  get isOpen(): boolean {
    return this.#spool !== undefined;
  }

  /** @throws InvariantError before `waitOpen` */
  get spool(): Spool {
    assert(this.#spool !== undefined, "the spool is open", { journal: this.journal });
    return this.#spool;
  }

  /** Claims the spool, once `after` has ended. */
  async open(epoch: number, after: Promise<void>): Promise<void> {
    try {
      await after;
      const life = { journal: this.journal, createRevision: this.createRevision, epoch };
      const spool = await this.#ports.claim(life, this.#spec.suspend?.offset ?? 0);
      this.#spool = spool;
      this.index.setLocal(spool.fragments());
      this.#unsubscribe = spool.onChange(() => this.index.setLocal(spool.fragments()));
      this.index.setRemote([], this.#ports.clock.wallMs());
    } catch (error) {
      this.#openError = WireError.from(error);
    }
    this.#opened.open();
  }

  async waitOpen(signal: AbortSignal): Promise<void> {
    await waitUntil(this.#opened, () => this.#spool !== undefined || this.#openError !== undefined, signal);
    if (this.#openError !== undefined) throw this.#openError;
  }

  updateSpec(spec: JournalSpec): void {
    this.#spec = spec;
  }

  /** Tells the holder and the waiters of the pipeline that what they resolved is out of date. */
  invalidate(): void {
    const users = [...this.#waiting];
    for (const user of users) this.leave(user);
    this.#holder?.invalidated();
    for (const user of users) user.invalidated();
  }

  /** @returns the route that the pipeline is in sync for, or "queued": then `granted` is called. @throws OVERLOADED */
  acquire(user: PipelineUser): { readonly route: Route | undefined } | "queued" {
    if (this.#holder === undefined && this.#waiting.length === 0) {
      this.#holder = user;
      return { route: this.#route };
    }
    const bytes = this.#waitingBytes + user.waitingBytes;
    const full =
      this.#waiting.length >= APPEND_QUEUE_ITEMS_MAX ||
      (this.#waiting.length > 0 && bytes > APPEND_QUEUE_BYTES_MAX);
    if (full) {
      const facts = {
        journal: this.journal,
        waiting: this.#waiting.length,
        waitingBytes: this.#waitingBytes,
      };
      throw new WireError(
        "OVERLOADED",
        `journal ${this.journal} has ${facts.waiting} appends of ${facts.waitingBytes} bytes waiting ` +
          `(at most ${APPEND_QUEUE_ITEMS_MAX} and ${APPEND_QUEUE_BYTES_MAX} bytes)`,
        { facts },
      );
    }
    this.#waiting.push(user);
    this.#waitingBytes = bytes;
    return "queued";
  }

  /** Forgets a waiter. */
  leave(user: PipelineUser): void {
    const at = this.#waiting.indexOf(user);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#waitingBytes -= user.waitingBytes;
  }

  /** @param route what the peers are in sync for; undefined when they are not */
  release(user: PipelineUser, route: Route | undefined): void {
    assert(this.#holder === user, "the pipeline is released by its holder", { journal: this.journal });
    this.#route = route;
    this.#holder = undefined;
    if (this.#isHandingOn) return; // The loop below goes on when the nested grant returns: no deep stacks.
    this.#isHandingOn = true;
    while (this.#holder === undefined && this.#waiting.length > 0) {
      const next = this.#waiting.shift()!;
      this.#holder = next;
      this.#waitingBytes -= next.waitingBytes;
      next.granted(this.#route);
    }
    this.#isHandingOn = false;
  }

  get hasWaiters(): boolean {
    return this.#waiting.length > 0;
  }

  /** Applies the roll rule. */
  roll(rollTo: number, registers?: LabelSet): void {
    const { spool } = this;
    const span = { begin: spool.begin, end: spool.pendingEnd, firstAppendMs: spool.firstAppendMs };
    const begin = rollBegin(span, rollTo, this.#spec.fragment, this.#ports.clock.wallMs());
    if (begin !== undefined) spool.roll(begin, registers);
  }

  facts(): PreconditionFacts {
    const { spool, index } = this;
    const { begin, end, lastModTime } = index.summary();
    // What was handed to commit counts although it is not in the index yet.
    const isPending = spool.pendingEnd > Math.max(end, spool.begin);
    return {
      firstRefreshDone: index.isRefreshed,
      storeFailure: undefined,
      indexBegin: end === begin && isPending ? spool.begin : begin,
      indexEnd: isPending ? spool.pendingEnd : end,
      lastModTime: isPending ? 0 : lastModTime,
      spoolBegin: spool.begin,
      spoolEnd: spool.pendingEnd,
      registers: spool.pendingRegisters,
      now: Math.floor(this.#ports.clock.wallMs() / 1000),
    };
  }

  /** Counts a commit that was handed to the spool. @returns a function to call with its outcome */
  commitStarted(): () => void {
    this.#commits++;
    return () => {
      this.#acknowledged++;
      while (this.#barriers.length > 0 && this.#barriers[0]!.commit <= this.#acknowledged) {
        this.#barriers.shift()!.reached();
      }
    };
  }

  /** Calls `reached` once everything handed to commit before now has its outcome; at once when it has. */
  afterCommits(reached: () => void): void {
    if (this.#acknowledged === this.#commits) reached();
    else this.#barriers.push({ commit: this.#commits, reached });
  }

  /** `released`: the journal goes on elsewhere or later, its fragment is closed. `deleted`: its bytes are forgotten. */
  async close(fate: "released" | "deleted"): Promise<void> {
    if (this.#spool === undefined && this.#openError === undefined)
      await this.waitOpen(never).catch(() => undefined);
    await this.#takePipeline();
    await new Promise<void>((reached) => this.afterCommits(reached));
    const spool = this.#spool;
    if (spool !== undefined && fate === "deleted") spool.remove();
    else if (spool !== undefined && spool.pendingEnd > spool.begin) spool.roll(spool.pendingEnd);
    this.#unsubscribe();
    this.#closed.abort(new WireError("SHUTTING_DOWN", `journal ${this.journal} is no longer served here`));
  }

  #takePipeline(): Promise<void> {
    return new Promise((taken) => {
      const user: PipelineUser = { waitingBytes: 0, granted: () => taken(), invalidated: () => undefined };
      if (this.acquire(user) !== "queued") taken();
    });
  }
}
