// One journal that is assigned to this broker: the queue of its appends over what is here of it. A shell; what an
// append may do is decided by append-fsm.ts.
//
//  J1  At most one append holds the pipeline; the others wait in the order they came, bounded in items and bytes.
//  J2  The pipeline is handed on when an append's bytes went to commit: the next writes while they become durable.
//  J3  `close` takes the pipeline as an append would, after those that hold or wait for it now, and never gives it
//      back.
import { assert, Gate, TaskGroup, waitUntil, WireError, type Clock, type Logger } from "@millrace/base";
import { RemoteRefresh, type FragmentIndex, type RefreshPorts, type Spool } from "@millrace/fragments";
import type { JournalSpec, LabelSet, Route } from "@millrace/protocol";
import type { PreconditionFacts } from "./append-states.ts";
import type { BrokerMetrics } from "./broker-metrics.ts";
import type { FlowOwner } from "./content-source.ts";
import { boundRate, type RateBucket } from "./flow-control.ts";
import { changeWithin } from "./gate-timeout.ts";
import {
  APPEND_QUEUE_BYTES_MAX,
  APPEND_QUEUE_ITEMS_MAX,
  CLOSE_GRACE_MS,
  FIRST_REFRESH_WAIT_MS,
} from "./limits.ts";
import type { LocalJournal, LocalJournals } from "./local-journal.ts";
import { rollBegin } from "./roll-rule.ts";
import type { StoreGate } from "./store-gate.ts";

/** Who holds or waits for a pipeline. */
export interface PipelineUser {
  /** Bytes that wait with it. */
  readonly waitingBytes: number;
  granted(route: Route | undefined): void;
  invalidated(): void;
  /** Gives the pipeline back at once, without having written. */
  aborted(reason: Error): void;
}

export interface ReplicaPorts {
  readonly journals: LocalJournals;
  readonly storeGate: StoreGate;
  readonly refresh: RefreshPorts;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: BrokerMetrics;
  /** Bytes a second; 0 = no bound. */
  readonly minAppendRate: number;
  readonly maxAppendRate: number;
  readonly isJournal: (name: string) => boolean;
}

/**
 * `released`: the journal goes on elsewhere or later; `deleted`: its bytes are forgotten; `stopped`: this broker
 * ends.
 */
export type ReplicaFate = "released" | "deleted" | "stopped";

let lastId = 0;

export class JournalReplica implements FlowOwner {
  /** Never 0, and never that of another replica of this process. */
  readonly id: number = ++lastId;
  readonly journal: string;
  readonly createRevision: number;
  /** How often what was resolved of it went out of date. */
  invalidations = 0;
  readonly minRate: number;
  bucket: RateBucket | undefined;
  readonly #ports: ReplicaPorts;
  readonly #tasks: TaskGroup;
  readonly #opened = new Gate();
  readonly #closed = new AbortController();
  readonly #waiting: PipelineUser[] = [];
  #waitingBytes = 0;
  #holder: PipelineUser | undefined;
  #isHandingOn = false;
  #isLeaving = false;
  #route: Route | undefined;
  #spec: JournalSpec;
  #local: LocalJournal | undefined;
  #refusal: WireError | undefined;
  #refresh: RemoteRefresh | undefined;
  /** When appends stop waiting for the first listing of the stores. */
  #listedByMs = 0;

  constructor(ports: ReplicaPorts, spec: JournalSpec, createRevision: number) {
    this.#ports = ports;
    this.journal = spec.name;
    this.createRevision = createRevision;
    this.minRate = ports.minAppendRate;
    this.#spec = spec;
    this.#tasks = new TaskGroup(`replica of ${spec.name}`, (task, error) => {
      ports.logger.error("replica-task-failed", { journal: spec.name, task, error });
    });
  }

  get spec(): JournalSpec {
    return this.#spec;
  }

  get maxRate(): number {
    return boundRate(this.#spec.maxAppendRate, this.#ports.maxAppendRate);
  }

  /** Aborts when the replica has closed: reads end. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  get isOpen(): boolean {
    return this.#local !== undefined;
  }

  get hasWaiters(): boolean {
    return this.#waiting.length > 0;
  }

  get spool(): Spool {
    return this.local.spool;
  }

  get index(): FragmentIndex {
    return this.local.index;
  }

  /** @throws InvariantError before `waitOpen` */
  get local(): LocalJournal {
    assert(this.#local !== undefined, "the replica is open", { journal: this.journal });
    return this.#local;
  }

  /** Opens what is here of the journal, once `after` has ended, and lists its stores from then on. */
  open(epoch: number, after: Promise<void>): void {
    this.#tasks.spawn("open", async (signal) => {
      await after;
      const life = { journal: this.journal, createRevision: this.createRevision, epoch };
      const refused = (error: WireError): void => {
        this.#ports.logger.warn("journal-not-opened", { journal: this.journal, error: error.message });
        this.#refusal = error;
        this.#opened.open();
      };
      const local = await this.#ports.journals.open(life, this.#spec, refused, signal);
      local.spec = this.#spec;
      this.#local = local;
      this.#refusal = undefined;
      this.#listedByMs = this.#ports.clock.monotonicMs() + FIRST_REFRESH_WAIT_MS;
      this.#opened.open();
      this.#refresh = new RemoteRefresh(this.#ports.refresh, local.index, () => this.#refreshSettings());
      await this.#refresh.run(signal);
    });
  }

  /** @throws {WireError} why it cannot be opened now */
  async waitOpen(signal: AbortSignal): Promise<void> {
    await waitUntil(this.#opened, () => this.isOpen || this.#refusal !== undefined || this.#isClosed, signal);
    if (this.#refusal !== undefined) throw this.#refusal;
    if (!this.isOpen) throw this.closed.reason as Error;
  }

  updateSpec(spec: JournalSpec): void {
    const before = this.#spec.fragment.stores.join("\n");
    this.#spec = spec;
    if (this.#local !== undefined) this.#local.spec = spec;
    if (spec.fragment.stores.join("\n") !== before) this.#refresh?.refreshNow();
  }

  /** Tells the holder and the waiters of the pipeline that what they resolved is out of date. */
  invalidate(): void {
    this.invalidations++;
    const users = [...this.#waiting];
    for (const user of users) this.leave(user);
    this.#holder?.invalidated();
    for (const user of users) user.invalidated();
  }

  /**
   * @returns the route that the pipeline is in sync for; "queued": then `granted` is called; "gone": the replica is
   * closing, and what was resolved is out of date (its invalidation came before the user did) @throws OVERLOADED
   */
  acquire(user: PipelineUser): { readonly route: Route | undefined } | "queued" | "gone" {
    return this.#isLeaving ? "gone" : this.#queue(user);
  }

  #queue(user: PipelineUser): { readonly route: Route | undefined } | "queued" {
    if (this.#holder === undefined && this.#waiting.length === 0) {
      this.#holder = user;
      return { route: this.#route };
    }
    const count = this.#waiting.length;
    const bytes = this.#waitingBytes + user.waitingBytes;
    if (count >= APPEND_QUEUE_ITEMS_MAX || (count > 0 && bytes > APPEND_QUEUE_BYTES_MAX)) {
      throw new WireError(
        "OVERLOADED",
        `${count} appends of ${this.#waitingBytes} bytes wait for journal ${this.journal} ` +
          `(at most ${APPEND_QUEUE_ITEMS_MAX} and ${APPEND_QUEUE_BYTES_MAX} bytes)`,
        { facts: { journal: this.journal, count, bytes: this.#waitingBytes } },
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

  /** Applies the roll rule. */
  roll(rollTo: number, registers?: LabelSet): void {
    const begin = this.#rollBegin(rollTo);
    if (begin === undefined) return;
    if (this.spool.pendingEnd > this.spool.begin) this.#ports.metrics.rolled.add();
    this.spool.roll(begin, registers);
  }

  /** Whether the fragment should be closed although nobody appends. */
  wantsRoll(): boolean {
    return this.#rollBegin(0) !== undefined;
  }

  facts(): PreconditionFacts {
    const { spool, index } = this.local;
    const { begin, end, lastModTime } = index.summary();
    const { begin: spoolBegin, pendingEnd: spoolEnd } = spool;
    // What was handed to commit counts although the index does not have it yet.
    const isPending = spoolEnd > spoolBegin && spoolEnd > end;
    const isEmpty = begin === end;
    return {
      firstRefreshDone: index.isRefreshed,
      storeFailure: this.#ports.storeGate.failure(this.#spec.fragment.stores[0], this.local),
      indexBegin: isPending && isEmpty ? spoolBegin : begin,
      indexEnd: isPending ? spoolEnd : end,
      lastModTime: isPending ? 0 : lastModTime,
      spoolBegin,
      spoolEnd,
      registers: spool.pendingRegisters,
      now: Math.floor(this.#ports.clock.wallMs() / 1000),
    };
  }

  /** Why nobody knows where the journal ends, once the first listing of its stores is overdue. */
  unlisted(): string | undefined {
    if (this.#local === undefined || this.index.isRefreshed) return undefined;
    if (this.#ports.clock.monotonicMs() < this.#listedByMs) return undefined;
    const why = this.#refresh?.failure?.message ?? "it takes long";
    return `the stores of journal ${this.journal} could not be listed yet: ${why}`;
  }

  /**
   * Resolves when the index has changed, until the first listing of the stores is overdue. @throws {WireError}
   * UNAVAILABLE
   */
  async nextListing(signal: AbortSignal): Promise<void> {
    const why = this.unlisted();
    if (why !== undefined) throw new WireError("UNAVAILABLE", why, { facts: { journal: this.journal } });
    const { clock } = this.#ports;
    await changeWithin(this.index.changed, this.#listedByMs - clock.monotonicMs(), clock, signal);
  }

  /** Resolves after the next check of the journal's store. */
  async nextStoreCheck(signal: AbortSignal): Promise<void> {
    const url = this.#spec.fragment.stores[0];
    if (url !== undefined) await this.#ports.storeGate.nextCheck(url, signal);
  }

  /** Waits for an append that writes, but not for ever. */
  async close(fate: ReplicaFate): Promise<void> {
    this.#isLeaving = true;
    const over = new WireError("SHUTTING_DOWN", `journal ${this.journal} is no longer served here`);
    const cancel = this.#ports.clock.after(CLOSE_GRACE_MS, () => this.#holder?.aborted(over));
    await this.#takePipeline();
    cancel();
    const local = this.#local;
    if (local !== undefined) {
      if (fate === "released" && local.spool.pendingEnd > local.spool.begin)
        local.spool.roll(local.spool.pendingEnd);
      await local.settled();
    }
    this.#closed.abort(over);
    this.#opened.open();
    await this.#tasks.close();
    // An opening that was under way may have ended meanwhile.
    if (this.#local !== undefined && fate === "deleted") this.#ports.journals.remove(this.#local);
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  #rollBegin(rollTo: number): number | undefined {
    const { begin, pendingEnd: end, firstAppendMs } = this.spool;
    return rollBegin({ begin, end, firstAppendMs }, rollTo, this.#spec.fragment, this.#ports.clock.wallMs());
  }

  #refreshSettings(): { name: string; stores: readonly string[]; refreshIntervalMs: number } & {
    isJournal: (name: string) => boolean;
  } {
    const { stores, refreshIntervalMs } = this.#spec.fragment;
    return { name: this.journal, stores, refreshIntervalMs, isJournal: this.#ports.isJournal };
  }

  #takePipeline(): Promise<void> {
    return new Promise((taken) => {
      const ignore = (): void => undefined;
      const user: PipelineUser = {
        waitingBytes: 0,
        granted: () => taken(),
        invalidated: ignore,
        aborted: ignore,
      };
      if (this.#queue(user) !== "queued") taken();
    });
  }
}
