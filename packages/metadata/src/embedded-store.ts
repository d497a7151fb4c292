// The coordination store inside a process: MVCC in memory (mvcc.ts) over its own synced log (journal.ts).
//
// E1 A request is answered, and its changes are visible, only once everything it depends on is durable.
// E2 Recovery replays checkpoint and log through the same code that a running store uses, then ends the leases that
//    the previous life of this process had granted to itself (D16), all before the first request.
// E3 Memory and log are bounded: history is compacted by revisions, age and bytes, and the log by checkpoints.
import {
  MetricsRegistry,
  WireError,
  type Clock,
  type Logger,
  type Metrics,
  type Random,
} from "@millrace/base";
import type { AuthState } from "./auth-state.ts";
import { CommitPipeline } from "./commit-pipeline.ts";
import type {
  CoordinationStore,
  RangeRequest,
  RangeResponse,
  StoreHeader,
  TxnRequest,
  TxnResponse,
  WatchBatch,
  WatchRequest,
} from "./coordination.ts";
import type { RecoverJournal, StoreJournal } from "./journal.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { HistoryView } from "./history-view.ts";
import { LeaseClock } from "./lease-clock.ts";
import { REMOTE_LEASES_MAX } from "./limits.ts";
import { Mvcc } from "./mvcc.ts";
import { decideTxn, portResults, txnResults } from "./mvcc-txn.ts";
import { shapedRange } from "./range-shape.ts";
import { decodeBatch } from "./record-codec.ts";
import type { LeaseOwner, StoreRecord } from "./records.ts";
import { HistoryRetention, type RetentionOptions } from "./retention.ts";
import { encodeSnapshot, SnapshotDecoder } from "./snapshot-codec.ts";
import { storeMetrics, type StoreMetrics } from "./store-metrics.ts";
import { checkRange, checkTtl } from "./txn-rules.ts";
import { watchHistory } from "./watch.ts";
import type { WideRange, WideTxn, WideTxnResponse } from "./wide-requests.ts";

/** A failed compaction or checkpoint is tried again after this time. */
const MAINTENANCE_RETRY_MS = 5000;

export interface EmbeddedStoreOptions extends Partial<RetentionOptions> {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** Milliseconds between looks at leases and retention. Default 500. */
  readonly tickMs?: number;
  /** A gap between ticks above this is a pause, in milliseconds. Default four ticks. */
  readonly pauseMs?: number;
  /** A checkpoint is due when the log behind the last one has this many bytes, and twice that one's. Default 8 MiB. */
  readonly checkpointLogBytes?: number;
}

export interface LeaseStatus {
  readonly lease: bigint;
  readonly ttlSeconds: number;
  readonly remainingSeconds: number;
  readonly owner: LeaseOwner;
  readonly keys: readonly string[];
}

/** What was decided on the state of a moment. */
export interface Decided<T> {
  /** What changes; undefined when nothing does. */
  readonly record: StoreRecord | undefined;
  /** Called once the record is replayed, before anything else happens. */
  readonly respond: () => T;
}

/**
 * Opens a store over what its journal holds; an empty journal becomes a new store with ids of its own.
 * @throws {WireError} CORRUPT, DISK_FULL, OUTCOME_UNKNOWN
 */
export async function openEmbeddedStore(
  recover: RecoverJournal,
  options: EmbeddedStoreOptions,
): Promise<EmbeddedStore> {
  const state = new Mvcc();
  const snapshot = new SnapshotDecoder(state);
  let isLoaded = false;
  const endSnapshot = (): void => {
    if (!isLoaded) snapshot.end();
    isLoaded = true;
  };
  const journal = await recover({
    onChunk: (chunk) => snapshot.push(chunk),
    onBatch: (batch) => {
      endSnapshot();
      for (const record of decodeBatch(batch)) state.replay(record);
    },
  });
  endSnapshot();
  const store = new EmbeddedStore(state, journal, options);
  try {
    await store.begin();
  } catch (error) {
    await journal.close();
    throw error;
  }
  return store;
}

export class EmbeddedStore implements CoordinationStore {
  readonly #state: Mvcc;
  readonly #journal: StoreJournal;
  readonly #pipeline: CommitPipeline;
  readonly #leases: LeaseClock;
  readonly #retention: HistoryRetention;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #metrics: StoreMetrics;
  readonly #tickMs: number;
  readonly #checkpointLogBytes: number;
  #checkpointBytes = 0;
  #maintenance: Promise<void> = Promise.resolve();
  #maintaining = false;
  #maintenanceHeldUntilMs = 0;
  #cancelTick: () => void = () => {};

  /** Use {@link openEmbeddedStore}. */
  constructor(state: Mvcc, journal: StoreJournal, options: EmbeddedStoreOptions) {
    this.#state = state;
    this.#journal = journal;
    this.#pipeline = new CommitPipeline(state, journal);
    this.#tickMs = options.tickMs ?? 500;
    this.#leases = new LeaseClock(options.clock, options.pauseMs ?? 4 * this.#tickMs);
    this.#retention = new HistoryRetention(options);
    this.#random = options.random.fork("coordination");
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#metrics = storeMetrics(options.metrics ?? new MetricsRegistry());
    this.#checkpointLogBytes = options.checkpointLogBytes ?? 8 * 1024 * 1024;
  }

  /** Starts a life of the store: identity, term, leases. Called once, by openEmbeddedStore. */
  async begin(): Promise<void> {
    const state = this.#state;
    const waits: Promise<void>[] = [];
    const submit = (record: StoreRecord): void => {
      waits.push(this.#pipeline.submit(record).durable);
    };
    if (state.clusterId === 0n) {
      submit({ kind: "created", clusterId: this.#drawId(), memberId: this.#drawId() });
    }
    submit({ kind: "started", raftTerm: state.raftTerm + 1n });
    for (const { id, owner, ttlSeconds } of [...state.leases.values()]) {
      if (owner === "process")
        submit(this.#revocation(id)); // D16
      else this.#leases.start(id, ttlSeconds);
    }
    await Promise.all(waits);
    this.#observe();
    this.#logger.info("coordination-store-opened", { revision: state.revision, keys: state.keys.size });
    this.#armTick();
  }

  /** Identity, term and the newest durable revision. */
  get header(): StoreHeader {
    return this.#state.header(this.#pipeline.durableRevision);
  }

  /** Users as the newest change left them, durable or not. For the etcd server. */
  get auth(): AuthState {
    return this.#state.auth;
  }

  /** Why writes fail, or undefined when they do not. */
  unhealthy(): string | undefined {
    return this.#pipeline.unhealthy;
  }

  async range(request: RangeRequest, signal: AbortSignal): Promise<RangeResponse> {
    return this.wideRange(request, signal);
  }

  async txn(request: TxnRequest, signal: AbortSignal): Promise<TxnResponse> {
    const response = await this.wideTxn(request, signal);
    return { ...response, results: portResults(response.results) };
  }

  /** A transaction with all that etcd's API has. For the etcd server. */
  async wideTxn(request: WideTxn, signal: AbortSignal): Promise<WideTxnResponse> {
    const startedMs = this.#clock.monotonicMs();
    try {
      const { isWritten, response } = await this.decide((state) => {
        const decision = decideTxn(state, request);
        const respond = () => ({
          isWritten: decision.record !== undefined,
          response: {
            header: state.header(state.revision),
            succeeded: decision.succeeded,
            results: txnResults(state, decision),
          },
        });
        return { record: decision.record, respond };
      }, signal);
      this.#metrics.txnSeconds.observe((this.#clock.monotonicMs() - startedMs) / 1000);
      this.#metrics.txns.add(1, { outcome: isWritten ? "written" : "read" });
      this.#maintainIfDue();
      return response;
    } catch (error) {
      if (!signal.aborted) this.#metrics.txns.add(1, { outcome: "failed" });
      throw error;
    }
  }

  /** A range with all that etcd's API has. For the etcd server. */
  async wideRange(request: WideRange, signal: AbortSignal): Promise<RangeResponse> {
    signal.throwIfAborted();
    checkRange(request);
    const head = this.#pipeline.durableRevision; // E1
    return { header: this.#state.header(head), ...shapedRange(this.#state, request, head) };
  }

  /**
   * Decides something on the state of this moment, and answers when that, and all that was decided before, is durable.
   * For the etcd server. @throws {WireError} what `decide` throws: then nothing has happened
   */
  async decide<T>(decide: (state: Mvcc) => Decided<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    this.#pipeline.admit();
    const { record, respond } = decide(this.#state);
    const durable = record === undefined ? this.#pipeline.barrier() : this.#pipeline.submit(record).durable;
    const response = respond();
    await untilDurable(durable, signal);
    return response;
  }

  /** What `read` finds once all that was decided before is durable. For the etcd server. */
  settled<T>(read: () => T, signal: AbortSignal): Promise<T> {
    return this.decide(() => ({ record: undefined, respond: read }), signal);
  }

  /** Bytes of checkpoint and log, as far as this life knows. For the etcd server. */
  get logBytes(): number {
    return this.#checkpointBytes + this.#journal.tailBytes;
  }

  /** The history as far as it is durable, for whoever watches many ranges at once. For the etcd server. */
  history(): HistoryView {
    return new HistoryView(this.#state, this.#pipeline);
  }

  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch> {
    checkRange(request.end === undefined ? { key: request.key } : { key: request.key, end: request.end });
    const asked = request.fromRevision ?? 0;
    const fromRevision = asked === 0 ? this.#pipeline.durableRevision + 1 : asked;
    return watchHistory(this.#state, this.#pipeline, { ...request, fromRevision }, signal);
  }

  grantLease(ttlSeconds: number, signal: AbortSignal): Promise<bigint> {
    return this.#grant(this.#drawId(), ttlSeconds, "process", signal);
  }

  /**
   * Grants a lease to another process, which outlives this one's restarts. For the etcd door.
   * @param lease the id wanted; 0n: any @throws {WireError} CONFLICT when it exists
   */
  async grantRemoteLease(lease: bigint, ttlSeconds: number, signal: AbortSignal): Promise<bigint> {
    if (this.#state.leases.has(lease)) throw etcdRefusal("leaseExists");
    if (this.#state.leases.size >= REMOTE_LEASES_MAX) {
      throw etcdRefusal("tooManyRequests", `at most ${REMOTE_LEASES_MAX} leases`);
    }
    return this.#grant(lease === 0n ? this.#drawId() : lease, ttlSeconds, "remote", signal);
  }

  async keepAlive(lease: bigint, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const { ttlSeconds } = this.#lease(lease);
    this.#leases.start(lease, ttlSeconds);
    return ttlSeconds;
  }

  async revokeLease(lease: bigint, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#pipeline.admit();
    this.#lease(lease);
    await untilDurable(this.#revoke(lease), signal);
  }

  /** @throws {WireError} NOT_FOUND */
  leaseStatus(lease: bigint): LeaseStatus {
    const { ttlSeconds, owner, keys } = this.#lease(lease);
    const remainingSeconds = this.#leases.remainingSeconds(lease) ?? ttlSeconds;
    return { lease, ttlSeconds, remainingSeconds, owner, keys: [...keys].sort() };
  }

  /** Ids of the leases that exist. */
  leases(): readonly bigint[] {
    return [...this.#state.leases.keys()];
  }

  async compact(revision: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#maintain(() => this.#compact(revision));
  }

  /** Writes a checkpoint now, whatever the size of the log. */
  checkpoint(): Promise<void> {
    return this.#maintain(() => this.#writeCheckpoint());
  }

  /** Settles what was accepted and closes the log. Leases stay: the next start decides about them. */
  async close(): Promise<void> {
    this.#cancelTick();
    await this.#pipeline.close();
    await this.#maintenance;
    await this.#journal.close();
  }

  async #grant(lease: bigint, ttlSeconds: number, owner: LeaseOwner, signal: AbortSignal): Promise<bigint> {
    signal.throwIfAborted();
    this.#pipeline.admit();
    checkTtl(ttlSeconds);
    const { durable } = this.#pipeline.submit({ kind: "lease-granted", lease, ttlSeconds, owner });
    // Also when the caller has gone: an unknown grant must run out.
    const started = durable.then(() => this.#leases.start(lease, ttlSeconds));
    await untilDurable(started, signal);
    return lease;
  }

  #lease(lease: bigint): {
    readonly ttlSeconds: number;
    readonly owner: LeaseOwner;
    readonly keys: Set<string>;
  } {
    const found = this.#state.leases.get(lease);
    if (found === undefined) throw etcdRefusal("leaseNotFound");
    return found;
  }

  #revocation(lease: bigint): StoreRecord {
    const keys = this.#lease(lease).keys.size;
    return { kind: "lease-revoked", lease, revision: this.#state.revision + (keys > 0 ? 1 : 0) };
  }

  #revoke(lease: bigint): Promise<void> {
    return this.#pipeline.submit(this.#revocation(lease)).durable.then(() => this.#leases.forget(lease));
  }

  /** A random id in [1, 2^63): etcd's lease ids are signed. */
  #drawId(): bigint {
    for (;;) {
      const id = (BigInt(this.#random.u32() >>> 1) << 32n) | BigInt(this.#random.u32());
      if (id !== 0n && !this.#state.leases.has(id)) return id;
    }
  }

  #armTick(): void {
    this.#cancelTick = this.#clock.after(this.#tickMs, () => this.#onTick());
  }

  #onTick(): void {
    if (this.#pipeline.isClosed) return;
    const { pausedMs, expired } = this.#leases.tick();
    if (pausedMs > 0)
      this.#logger.warn("coordination-leases-renewed", { pausedMs, leases: this.#state.leases.size });
    for (const lease of expired) this.#expire(lease);
    this.#retention.tick(this.#clock.monotonicMs(), this.#pipeline.durableRevision);
    this.#maintainIfDue();
    this.#observe();
    this.#armTick();
  }

  #observe(): void {
    this.#metrics.revision.set(this.#pipeline.durableRevision);
    this.#metrics.keys.set(this.#state.keys.size);
    this.#metrics.leases.set(this.#state.leases.size);
    this.#metrics.historyBytes.set(this.#state.historyBytes);
  }

  #expire(lease: bigint): void {
    if (!this.#state.leases.has(lease)) return; // its end is on the way to the log
    const keys = this.#lease(lease).keys.size;
    this.#revoke(lease).then(
      () => this.#logger.info("coordination-lease-expired", { lease, keys }),
      (error: unknown) =>
        this.#logger.warn("coordination-lease-expiry-failed", { lease, error: WireError.from(error) }),
    );
  }

  #maintainIfDue(): void {
    if (this.#maintaining || this.#pipeline.isClosed || this.unhealthy() !== undefined) return;
    const target = this.#retention.due(this.#state, this.#pipeline.durableRevision);
    const full = this.#journal.tailBytes >= Math.max(this.#checkpointLogBytes, 2 * this.#checkpointBytes);
    if (target === undefined && !full) return;
    if (this.#clock.monotonicMs() < this.#maintenanceHeldUntilMs) return;
    this.#maintaining = true;
    const work = this.#maintain(async () => {
      if (target !== undefined && target > this.#state.compactRevision) await this.#compact(target);
      if (full) await this.#writeCheckpoint();
    });
    work
      .catch((error: unknown) => {
        this.#maintenanceHeldUntilMs = this.#clock.monotonicMs() + MAINTENANCE_RETRY_MS;
        this.#logger.warn("coordination-maintenance-failed", { error: WireError.from(error) });
      })
      .finally(() => {
        this.#maintaining = false;
      });
  }

  /** One at a time: a checkpoint reads what a compaction would forget. */
  #maintain(run: () => Promise<void>): Promise<void> {
    const work = this.#maintenance.then(run);
    this.#maintenance = work.catch(() => {});
    return work;
  }

  async #compact(revision: number): Promise<void> {
    this.#pipeline.admit();
    const head = this.#pipeline.durableRevision;
    if (revision > head) throw etcdRefusal("futureRevision", `${revision} > ${head}`);
    if (revision <= this.#state.compactRevision) {
      throw etcdRefusal("compacted", `${revision} <= ${this.#state.compactRevision}`);
    }
    await this.#pipeline.submit({ kind: "compacted", revision }).durable;
  }

  async #writeCheckpoint(): Promise<void> {
    let bytes = 0;
    // The journal's promise is wrapped: between() would otherwise wait for it.
    const writing = await this.#pipeline.between(() => {
      this.#pipeline.admit();
      const revision = this.#pipeline.durableRevision;
      const leases = this.#pipeline.durableLeases();
      const chunks = encodeSnapshot(this.#state, { leases, auth: this.#pipeline.durableAuth(), revision });
      const counted = function* (): Generator<Uint8Array, void, undefined> {
        for (const chunk of chunks) {
          bytes += chunk.length;
          yield chunk;
        }
      };
      return { done: this.#journal.checkpoint(counted()), revision };
    });
    await writing.done;
    this.#checkpointBytes = bytes;
    this.#logger.debug("coordination-checkpoint-written", { revision: writing.revision, bytes });
  }
}

/** Waits for `durable`; whoever goes away earlier does not learn the outcome. */
function untilDurable(durable: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(
        new WireError("OUTCOME_UNKNOWN", "stopped waiting for the coordination log", {
          cause: signal.reason,
        }),
      );
    };
    signal.addEventListener("abort", onAbort, { once: true });
    durable.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
