// One journal that is assigned to this broker: the queue of its appends over what is here of it. A shell; what an
// append may do is decided by append-fsm.ts.
//
//  J1  The pipeline is handed on when an append's bytes went to commit: the next writes while they become durable.
//  J2  `close` takes the pipeline as an append would, after those that hold or wait for it now, and never gives it
//      back.
//  J3  One opening of the pipeline is under way at a time; the next one waits until the one before has ended.
import {
  assert,
  Gate,
  never,
  TaskGroup,
  waitUntil,
  WireError,
  type Clock,
  type Logger,
} from "@millrace/base";
import {
  RemoteRefresh,
  type CommitOutcome,
  type FragmentIndex,
  type QuarantineRelease,
  type RefreshedJournal,
  type RefreshPorts,
  type Spool,
  type SpoolAppend,
} from "@millrace/fragments";
import { equivalentRoutes, type JournalSpec, type LabelSet, type Route } from "@millrace/protocol";
import type { AppendInput, PreconditionFacts } from "./append-states.ts";
import { AppendQueue, type PipelineUser } from "./append-queue.ts";
import type { ResetWish } from "./activation-runner.ts";
import type { FlowOwner } from "./content-source.ts";
import { boundRate, type RateBucket } from "./flow-control.ts";
import { Patience } from "./patience.ts";
import { eitherSignal } from "./either-signal.ts";
import { changeWithin } from "./gate-timeout.ts";
import { CLOSE_GRACE_MS, FIRST_REFRESH_WAIT_MS, RELIST_MS } from "./limits.ts";
import type { LocalJournal, LocalJournals } from "./local-journal.ts";
import { Replication, type PipelineOpening, type ReplicationPorts } from "./replication.ts";
import type { Resolution } from "./resolver.ts";
import { rollBegin } from "./roll-rule.ts";
import type { StoreGate } from "./store-gate.ts";

export interface ReplicaPorts {
  readonly journals: LocalJournals;
  readonly storeGate: StoreGate;
  readonly refresh: RefreshPorts;
  readonly quarantine: QuarantineRelease;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bytes a second; 0 = no bound. */
  readonly minAppendRate: number;
  readonly maxAppendRate: number;
  readonly isJournal: (name: string) => boolean;
  /** Undefined: the broker is alone. */
  readonly replication: ReplicationPorts | undefined;
}

/**
 * `released`: the journal goes on elsewhere or later; `deleted`: its bytes are forgotten; `stopped`: this broker
 * ends.
 */
export type ReplicaFate = "released" | "deleted" | "stopped";

let lastId = 0;

/** A journal that left may be deleted while it does: there is nothing to be settled then (O3 of local-journal.ts). */
function overOnly(local: LocalJournal): (error: unknown) => Promise<void> {
  return async (error) => {
    if (!local.isOver || WireError.from(error).code !== "NOT_FOUND") throw error;
    await local.end();
  };
}

export class JournalReplica implements FlowOwner {
  /** Never 0, and never that of another replica of this process. */
  readonly id: number = ++lastId;
  readonly journal: string;
  readonly createRevision: number;
  /** How often what was resolved of it went out of date. */
  invalidations = 0;
  readonly minRate: number;
  bucket: RateBucket | undefined;
  readonly patience: Patience;
  readonly #ports: ReplicaPorts;
  readonly #tasks: TaskGroup;
  readonly #opened = new Gate();
  readonly #closed = new AbortController();
  readonly #queue: AppendQueue;
  #isLeaving = false;
  #isPrimary = true;
  #route: Route | undefined;
  #replication: Replication | undefined;
  /** The opening of the pipeline that is under way, and its end. */
  #opening:
    | { readonly route: Route; readonly scope: AbortController; readonly end: Promise<PipelineOpening> }
    | undefined;
  #openingEnd: Promise<unknown> = Promise.resolve();
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
    this.patience = new Patience(ports.clock.monotonicMs());
    this.#queue = new AppendQueue(this.journal, ports.clock, this.patience, () => this.#routeInSync());
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
    return this.#queue.hasWaiters;
  }

  get hasWholeWaiter(): boolean {
    return this.#queue.hasWholeWaiter;
  }

  /** Of the journal's primary; undefined while the replica opens, and when the broker is alone. */
  get replication(): Replication | undefined {
    return this.#replication;
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
      local.isPrimary = this.#isPrimary;
      this.#local = local;
      const { replication } = this.#ports;
      if (replication !== undefined)
        this.#replication = new Replication(replication, local, {
          evicted: (reason) => this.#evicted(reason),
          stalled: (reason) => this.#queue.holder?.stalled?.(reason),
        });
      this.#refusal = undefined;
      this.#listedByMs = this.#ports.clock.monotonicMs() + FIRST_REFRESH_WAIT_MS;
      this.#opened.open();
      this.#refresh = this.#refreshOf(local, signal);
      await this.#refresh.run(signal);
    });
  }

  #refreshOf({ index }: LocalJournal, signal: AbortSignal): RemoteRefresh {
    const { refresh, quarantine } = this.#ports;
    const settings = (): RefreshedJournal => this.#refreshSettings();
    return new RemoteRefresh(refresh, index, settings, (listed) => {
      this.#tasks.spawn("release quarantine", () => quarantine.listed(this, listed, signal));
    });
  }

  /** @throws {WireError} why it cannot be opened now */
  async waitOpen(signal: AbortSignal): Promise<void> {
    await waitUntil(this.#opened, () => this.isOpen || this.#refusal !== undefined || this.#isClosed, signal);
    if (this.#refusal !== undefined) throw this.#refusal;
    if (!this.isOpen) throw this.closed.reason as Error;
  }

  /** Of this broker for the journal: replicas leave its fragments to the primary for a while. */
  setPrimary(isPrimary: boolean): void {
    this.#isPrimary = isPrimary;
    if (this.#local !== undefined) this.#local.isPrimary = isPrimary;
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
    const { replication } = this.#ports;
    if (this.#replication?.hasPeers === true && replication !== undefined)
      this.#replication.routeSeen(replication.routeOf(this.journal));
    this.#queue.invalidate();
  }

  /**
   * @returns the route that the pipeline is in sync for; "queued": then `granted` is called; "gone": the replica is
   * closing, and what was resolved is out of date (its invalidation came before the user did) @throws OVERLOADED
   */
  acquire(user: PipelineUser): { readonly route: Route | undefined } | "queued" | "gone" {
    return this.#isLeaving ? "gone" : this.#queue.acquire(user);
  }

  /** Forgets a waiter. */
  leave(user: PipelineUser): void {
    this.#queue.leave(user);
  }

  /** @param route what the peers are in sync for; undefined when they are not */
  release(user: PipelineUser, route: Route | undefined): void {
    this.#route = route;
    this.#stopOpening("nobody waits for the pipeline");
    this.#queue.release(user);
  }

  /**
   * For whoever has the pipeline: what has to be before anything is written on this route. @returns undefined when all
   * is @throws {WireError} UNAVAILABLE
   * @param wish whether to give up what nobody can bring
   */
  openPipeline(
    resolution: Resolution,
    { signal }: { readonly signal: AbortSignal },
    wish?: ResetWish,
  ): Promise<PipelineOpening> | undefined {
    if (this.#ports.replication === undefined)
      return this.isOpen ? undefined : this.waitOpen(signal).then(() => ({ kind: "opened" }));
    const { route } = resolution.header;
    if (this.#opening !== undefined && equivalentRoutes(this.#opening.route, route)) return this.#opening.end;
    const before = this.#openingEnd;
    this.#stopOpening("the route has changed");
    const opening = new AbortController();
    const scope = eitherSignal(signal, opening.signal);
    const end = before
      .then(() => this.waitOpen(scope.signal))
      .then(() => this.#replication!.open(resolution, scope.signal, wish))
      .finally(() => {
        scope.dispose();
        if (this.#opening?.scope === opening) this.#opening = undefined;
      });
    this.#opening = { route, scope: opening, end };
    this.#openingEnd = end.catch(() => undefined);
    return end;
  }

  /** Brings the peers to where this broker is, if there are any. */
  sync(
    resolution: Resolution,
    rollTo: number,
    registers: LabelSet | undefined,
    isFirst: boolean,
  ): AppendInput | Promise<AppendInput> {
    const { spool } = this;
    if (this.#replication?.hasPeers !== true) {
      this.roll(rollTo, registers);
      return { kind: "sync-gathered", ownEnd: spool.pendingEnd, answers: [] };
    }
    spool.roll(Math.max(spool.pendingEnd, rollTo), registers);
    return this.#replication.sync(resolution, isFirst);
  }

  /** Hands an append to the log, and to the peers. */
  commit(
    append: SpoolAppend,
    registers: LabelSet | undefined,
    onOutcome: (outcome: CommitOutcome) => void,
  ): void {
    const { spool } = this;
    const replication = this.#replication;
    if (replication?.commits === undefined) {
      append.commit(registers, replication === undefined ? onOutcome : replication.committedAlone(onOutcome));
      return;
    }
    if (replication.isEarly) {
      this.#commitEarly(replication, append, registers, onOutcome);
      return;
    }
    const end = append.begin + append.bytes;
    const committed = replication.committed(end, onOutcome);
    append.commit(registers, (outcome) => committed.onOwn(outcome));
    replication.commits.commit(spool.pendingRegisters, (failure) => committed.onPeers(failure));
  }

  /** As {@link commit}, telling that all members have it, and nothing of what becomes of it after that. */
  #commitEarly(
    replication: Replication,
    append: SpoolAppend,
    registers: LabelSet | undefined,
    onOutcome: (outcome: CommitOutcome) => void,
  ): void {
    const { begin } = append;
    const end = begin + append.bytes;
    let isTold = false;
    const tell = (outcome: CommitOutcome): void => {
      if (isTold) return;
      isTold = true;
      onOutcome(outcome);
    };
    const committed = replication.committed(end, tell);
    const isTaken = append.commit(registers, (outcome) => {
      if (outcome.kind !== "acknowledged") this.local.holder?.lostBytes();
      committed.onOwn(outcome);
    });
    replication.commits!.commit(
      this.spool.pendingRegisters,
      (failure) => committed.onPeers(failure),
      () => {
        if (isTaken && committed.isWaiting) tell({ kind: "acknowledged", begin, end });
      },
    );
  }

  /** Applies the roll rule. */
  roll(rollTo: number, registers?: LabelSet): void {
    const begin = this.#rollBegin(rollTo);
    if (begin !== undefined) this.spool.roll(begin, registers);
    this.#replication?.rolled();
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
      isHeldElsewhere: this.#replication === undefined ? false : undefined,
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

  /**
   * Lists the stores again. `fresh`: they were listed a moment ago, or there are none; `failed`: they could not be
   * listed in time.
   */
  async relist(signal: AbortSignal): Promise<"fresh" | "listed" | "failed"> {
    const refresh = this.#refresh;
    if (refresh === undefined || this.#spec.fragment.stores.length === 0) return "fresh";
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const isListed = (): boolean => refresh.listedMs >= nowMs - RELIST_MS;
    if (isListed()) return "fresh";
    refresh.refreshNow();
    for (let leftMs = FIRST_REFRESH_WAIT_MS; !isListed();) {
      if (leftMs <= 0) return "failed";
      await changeWithin(this.index.changed, leftMs, clock, signal);
      leftMs = nowMs + FIRST_REFRESH_WAIT_MS - clock.monotonicMs();
    }
    return "listed";
  }

  /** Where what is known here ends, the stores listed just now. @throws {WireError} UNAVAILABLE */
  async knownEnd(signal: AbortSignal): Promise<number> {
    while (!this.index.isRefreshed) await this.nextListing(signal);
    if ((await this.relist(signal)) !== "failed") return this.index.summary().end;
    const text = `the stores of journal ${this.journal} cannot be listed now`;
    throw new WireError("UNAVAILABLE", text, { facts: { journal: this.journal } });
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
    const cancel = this.#ports.clock.after(CLOSE_GRACE_MS, () => this.#queue.holder?.aborted(over));
    await this.#queue.take();
    cancel();
    this.#stopOpening("the journal is no longer served here");
    await this.#openingEnd;
    await this.#replication?.end();
    const local = this.#local;
    if (local !== undefined && fate !== "deleted") await this.#settle(local, fate).catch(overOnly(local));
    this.#closed.abort(over);
    this.#opened.open();
    await this.#tasks.close();
    // An opening that was under way may have ended meanwhile.
    if (this.#local !== undefined && fate === "deleted") await this.#ports.journals.end(this.#local);
  }

  async #settle(local: LocalJournal, fate: ReplicaFate): Promise<void> {
    // Whoever replicates to here has a moment to end.
    const lease = await local.holder?.takeLast(never);
    const { spool } = local;
    if (fate === "released" && spool.pendingEnd > spool.begin) spool.roll(spool.pendingEnd);
    await local.settled();
    lease?.release();
  }

  /** Somebody waits for the spool: a newer primary. */
  #evicted(reason: WireError): void {
    this.#queue.holder?.evicted(reason);
    this.#tasks.spawn("give the spool back", async () => {
      // Whoever closes has the pipeline by now, or waits for it, and does the same.
      if (this.#isLeaving) return;
      const user = await this.#queue.takeFirst();
      await this.#replication?.close();
      this.release(user, undefined);
    });
  }

  #stopOpening(why: string): void {
    this.#opening?.scope.abort(new WireError("UNAVAILABLE", `journal ${this.journal}: ${why}`));
    this.#opening = undefined;
  }

  /** Undefined when the peers are not, or no longer, in sync. */
  #routeInSync(): Route | undefined {
    const isBroken = this.#replication !== undefined && this.#replication.route === undefined;
    return isBroken ? undefined : this.#route;
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  #rollBegin(rollTo: number): number | undefined {
    const { begin, pendingEnd: end, firstAppendMs } = this.spool;
    return rollBegin({ begin, end, firstAppendMs }, rollTo, this.#spec.fragment, this.#ports.clock.wallMs());
  }

  #refreshSettings(): RefreshedJournal {
    const { stores, refreshIntervalMs } = this.#spec.fragment;
    return { name: this.journal, stores, refreshIntervalMs, isJournal: this.#ports.isJournal };
  }
}
