// The coordination store over etcd's v3 API: what the port promises, from one member or many.
//
// E1 What etcd would refuse for its form or size is refused before it is sent, with the same texts.
// E2 A lease's id is drawn here, so that a grant of unknown outcome can be repeated.
// E3 A transaction of this store comes after the watches that it was called after: while such a watch still finds out
//    where it begins, the transaction waits.
import { TaskGroup, WireError, type Clock, type Logger, type Random } from "@millrace/base";
import type {
  CoordinationStore,
  Key,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchBatch,
  WatchRequest,
} from "./coordination.ts";
import { CLUSTER } from "./etcd-api/cluster.ts";
import { KV, type CompactionResponse } from "./etcd-api/kv.ts";
import { LEASE, type LeaseGrantResponse, type LeaseRevokeResponse } from "./etcd-api/lease.ts";
import { EtcdCluster, type RequestKind } from "./etcd-cluster.ts";
import { namingKeys, type EtcdAlarm } from "./etcd-errors.ts";
import { EtcdKeepAlives } from "./etcd-keep-alive.ts";
import {
  headerOf,
  mayPut,
  mayWrite,
  rangeMessage,
  rangeResponseOf,
  txnMessage,
  txnResponseOf,
} from "./etcd-messages.ts";
import type { EtcdPorts, EtcdSettings } from "./etcd-options.ts";
import { unlessAborted } from "./etcd-wait.ts";
import { watchEtcd } from "./etcd-watch.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { checkRange, checkRevision, checkTtl, checkTxn } from "./txn-rules.ts";

/** Waits for etcd for as long as nobody can be reached, and says so soon. */
const OPEN_RETRY_MS = 1000;
/** Whoever is denied a key asks for it again and again. */
const DENIED_EVERY_MS = 60_000;

/** Reads and renewals of leases are not refused under any. */
const CORRUPT: readonly EtcdAlarm[] = ["corrupt"];
const ANY_ALARM: readonly EtcdAlarm[] = ["corrupt", "no-space"];

/**
 * Connects, and waits until a member answers: a cluster that starts together has no order. @throws `signal.reason`
 * @throws {WireError} what etcd refuses: UNAUTHENTICATED, FORBIDDEN, …; INVALID_ARGUMENT for settings
 */
export async function openEtcdStore(
  settings: EtcdSettings,
  ports: EtcdPorts,
  signal: AbortSignal,
): Promise<EtcdStore> {
  const store = new EtcdStore(settings, ports);
  try {
    await store.begin(signal);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

export class EtcdStore implements CoordinationStore {
  readonly #settings: EtcdSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #cluster: EtcdCluster;
  readonly #keepAlives: EtcdKeepAlives;
  readonly #tasks: TaskGroup;
  /** Until then nothing more is said of keys that etcd denies. */
  #deniedUntilMs = 0;
  /** Watches that still find out where they begin (E3). */
  readonly #beginning = new Set<Promise<number>>();

  /** Use {@link openEtcdStore}. @throws {WireError} INVALID_ARGUMENT */
  constructor(settings: EtcdSettings, ports: EtcdPorts) {
    this.#settings = settings;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#logger = ports.logger;
    this.#cluster = new EtcdCluster(settings, ports);
    this.#keepAlives = new EtcdKeepAlives(ports.clock);
    this.#tasks = new TaskGroup("etcd", (task, error) =>
      this.#logger.error("etcd-task-failed", { task, error }),
    );
  }

  /** Endpoints that are known: the configured ones and those that members advertise. */
  get endpoints(): readonly string[] {
    return this.#cluster.endpoints.addresses;
  }

  /** How long nobody has answered what was asked, in milliseconds; 0: the last one did. */
  get silentMs(): number {
    return this.#cluster.silentMs;
  }

  /** The alarm of etcd under which it refuses what is asked, in its words; undefined: none is known. */
  get alarm(): string | undefined {
    return this.#cluster.alarm;
  }

  /** Finds the cluster and its members, then follows changes of its membership. Called once, by openEtcdStore. */
  async begin(signal: AbortSignal): Promise<void> {
    const cancel = this.#clock.after(OPEN_RETRY_MS, () =>
      this.#logger.warn("etcd-not-reached", { endpoints: this.endpoints }),
    );
    try {
      await this.#firstMembers(signal);
    } finally {
      cancel();
    }
    if (this.#settings.syncMs > 0) this.#tasks.spawn("members", (aborted) => this.#followMembers(aborted));
  }

  async #firstMembers(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await this.#learnMembers(signal);
      } catch (thrown) {
        signal.throwIfAborted();
        const { code, message: error } = WireError.from(thrown);
        if (code !== "UNAVAILABLE") throw thrown;
        this.#logger.warn("etcd-not-reached", { endpoints: this.endpoints, error, retryMs: OPEN_RETRY_MS });
        await this.#clock.sleep(OPEN_RETRY_MS, signal);
      }
    }
  }

  async range(request: RangeRequest, signal: AbortSignal): Promise<RangeResponse> {
    signal.throwIfAborted();
    checkRange(request);
    const kind = { operation: "range", isRepeatable: true };
    const response = await this.#cluster
      .call(KV.range, rangeMessage(request), kind, signal)
      .catch((error: unknown) => this.#denied(error, [request.key]));
    const header = headerOf(response);
    this.#cluster.note(header);
    return rangeResponseOf(response, header);
  }

  async txn(request: TxnRequest, signal: AbortSignal): Promise<TxnResponse> {
    signal.throwIfAborted();
    checkTxn(request);
    while (this.#beginning.size > 0) await unlessAborted(settled(this.#beginning), signal); // E3
    const writes = mayWrite(request);
    const refusedUnder = mayPut(request) ? ANY_ALARM : writes ? CORRUPT : [];
    const kind = { operation: "txn", isRepeatable: !writes, refusedUnder };
    const answer = await this.#cluster
      .call(KV.txn, txnMessage(request), kind, signal)
      .catch((error: unknown) => this.#denied(error, keysOf(request)));
    const response = txnResponseOf(request, answer);
    this.#cluster.note(response.header);
    return response;
  }

  watch(request: WatchRequest, signal: AbortSignal): AsyncIterable<WatchBatch> {
    checkRange(request.end === undefined ? { key: request.key } : { key: request.key, end: request.end });
    const asked = request.fromRevision ?? 0;
    const from = asked === 0 ? this.#now(request, signal) : Promise.resolve(asked);
    const { attemptTimeoutMs, progressMs } = this.#settings;
    const ports = {
      cluster: this.#cluster,
      clock: this.#clock,
      logger: this.#logger,
      attemptTimeoutMs,
      progressMs,
    };
    return watchEtcd(request, from, ports, signal);
  }

  async grantLease(ttlSeconds: number, signal: AbortSignal): Promise<bigint> {
    signal.throwIfAborted();
    checkTtl(ttlSeconds);
    for (;;) {
      const id = this.#drawId();
      const kind: RequestKind<LeaseGrantResponse> = {
        operation: "lease-grant",
        isRepeatable: true,
        refusedUnder: ANY_ALARM,
        afterDoubt: ({ code }: WireError) =>
          code === "CONFLICT" ? { id, ttl: ttlSeconds, error: "" } : undefined, // E2
      };
      try {
        const request = { ttl: ttlSeconds, id };
        const granted = await this.#cluster.call(LEASE.leaseGrant, request, kind, signal);
        if (granted.header !== undefined) this.#cluster.note(granted.header);
        if (granted.id !== id)
          throw new WireError("INTERNAL", `etcd granted lease ${granted.id}, asked for ${id}`);
        return id;
      } catch (thrown) {
        if (!(thrown instanceof WireError) || thrown.code !== "CONFLICT") throw thrown; // Drawn twice: draw again.
      }
    }
  }

  async keepAlive(lease: bigint, signal: AbortSignal): Promise<number> {
    const { header, ttl } = await this.#cluster.repeat(
      (endpoint, rpc, aborts) => this.#keepAlives.renew(lease, endpoint, rpc, aborts),
      { operation: "lease-keep-alive", isRepeatable: true },
      signal,
    );
    this.#cluster.note(header);
    if (ttl <= 0) throw etcdRefusal("leaseNotFound");
    return ttl;
  }

  async revokeLease(lease: bigint, signal: AbortSignal): Promise<void> {
    const kind: RequestKind<LeaseRevokeResponse> = {
      operation: "lease-revoke",
      isRepeatable: true,
      afterDoubt: ({ code }: WireError) => (code === "NOT_FOUND" ? {} : undefined),
    };
    const response = await this.#cluster.call(LEASE.leaseRevoke, { id: lease }, kind, signal);
    if (response.header !== undefined) this.#cluster.note(response.header);
  }

  async compact(revision: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    checkRevision(revision);
    const kind: RequestKind<CompactionResponse> = {
      operation: "compact",
      isRepeatable: true,
      afterDoubt: ({ code }: WireError) => (code === "COMPACTED" ? {} : undefined),
    };
    await this.#cluster.call(KV.compact, { revision, physical: false }, kind, signal);
  }

  /** Ends what is under way. Leases stay until their time is over: revoke them before. */
  async close(): Promise<void> {
    await this.#tasks.close();
    this.#keepAlives.close();
    await this.#cluster.close();
  }

  /** Whoever operates etcd learns it from the log, since callers of this process are not told keys. */
  #denied(error: unknown, keys: readonly Key[]): never {
    if (!(error instanceof WireError) || error.code !== "FORBIDDEN") throw error;
    const named = namingKeys(error, keys);
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#deniedUntilMs) {
      this.#deniedUntilMs = nowMs + DENIED_EVERY_MS;
      this.#logger.warn("etcd-denies", { error: named.message });
    }
    throw named;
  }

  #now(request: WatchRequest, signal: AbortSignal): Promise<number> {
    const range = { key: request.key, countOnly: true };
    const now = this.range(range, signal).then(({ header }) => header.revision + 1);
    this.#beginning.add(now);
    const forget = (): void => void this.#beginning.delete(now);
    now.then(forget, forget); // Its failure is that of the watch, which awaits it too.
    return now;
  }

  async #learnMembers(signal: AbortSignal): Promise<void> {
    const kind = { operation: "member-list", isRepeatable: true };
    const { header, members } = await this.#cluster.call(
      CLUSTER.memberList,
      { linearizable: true },
      kind,
      signal,
    );
    if (header !== undefined) this.#cluster.note(header);
    const advertised = members.filter(({ isLearner }) => !isLearner).flatMap(({ clientUrls }) => clientUrls);
    for (const channel of this.#cluster.endpoints.learn(advertised)) {
      this.#tasks.spawn("closing a channel", (aborted) => channel.close(aborted));
    }
  }

  async #followMembers(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#clock.sleep(this.#settings.syncMs, signal);
      try {
        await this.#learnMembers(signal);
      } catch (thrown) {
        signal.throwIfAborted();
        this.#logger.warn("etcd-members-not-known", { error: WireError.from(thrown) });
      }
    }
  }

  /** A random id in [1, 2^63): etcd's lease ids are signed. */
  #drawId(): bigint {
    const id = (BigInt(this.#random.u32() >>> 1) << 32n) | BigInt(this.#random.u32());
    return id === 0n ? 1n : id;
  }
}

function keysOf({ compare, success, failure = [] }: TxnRequest): readonly Key[] {
  return [...new Set([...compare, ...success, ...failure].map(({ key }) => key))];
}

async function settled(work: ReadonlySet<Promise<unknown>>): Promise<void> {
  await Promise.allSettled(work);
}
