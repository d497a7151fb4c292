// Composition of a broker: mirror of the keyspace, session, allocation, replicas, persister and the in-process
// transport.
import {
  never,
  TaskGroup,
  WireError,
  type Clock,
  type Histogram,
  type Logger,
  type Metrics,
  type Random,
} from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import {
  Persister,
  PERSISTER_LIMITS,
  pooledCodecs,
  QUARANTINE_DIR,
  QuarantineRelease,
  StoreHealth,
  type Backlog,
  type Codecs,
  type FailingStore,
  type Spools,
} from "@millrace/fragments";
import { openSession, type CoordinationStore, type Session } from "@millrace/metadata";
import {
  encodeBrokerSpec,
  memberKey,
  validateBrokerSpec,
  validateJournalSpec,
  validateKeyspaceRoot,
  type BrokerSpec,
  type Fragment,
  type FragmentStoreHealthRequest,
  type FragmentStoreHealthResponse,
  type JournalSpec,
  type LabelSet,
  type ProcessId,
} from "@millrace/protocol";
import type { ObjectStores } from "@millrace/stores";
import type { Principal } from "./authoriser.ts";
import type { AutoCreateRule } from "./auto-create.ts";
import { BrokerHolding } from "./broker-holding.ts";
import { takePart } from "./broker-membership.ts";
import { listBrokers, type ListedBroker } from "./cluster-members.ts";
import type { Drain } from "./drain.ts";
import { persistLast } from "./last-persist.ts";
import { BrokerKeyspace } from "./broker-keyspace.ts";
import { brokerMetrics, CallMeter, metered, type BrokerMetrics } from "./broker-metrics.ts";
import { HoldersStore } from "./holders-store.ts";
import { PeerCalls } from "./peer-calls.ts";
import type { PeerDoor } from "./peer-door.ts";
import type { PeerNetwork } from "./peer-network.ts";
import { readLists, type StartLists } from "./start-lists.ts";
import { brokerName, memberName } from "./journal-table.ts";
import { JournalReplica, type ReplicaPorts } from "./journal-replica.ts";
import { NOTHING_TO_JOIN, type JoiningProgress } from "./joining.ts";
import { LEASE_SECONDS, LIMBO_MS, MIN_APPEND_RATE, READS_HELD_BYTES_MAX } from "./limits.ts";
import { LocalJournals } from "./local-journal.ts";
import { LocalTransport, type LocalTransportPorts } from "./local-transport.ts";
import { journalsOf, specFor, type PrincipalJournals } from "./principal-journals.ts";
import { runPulse } from "./pulse.ts";
import { ReadHands } from "./read-hands.ts";
import { watchLag } from "./replication-lag.ts";
import { DueJournals } from "./due-journals.ts";
import { Elsewhere } from "./read-elsewhere.ts";
import { enterDirectory, type HolderPlace } from "./directory-start.ts";
import { findMark, fateOf, leaveMark, type FoundStore } from "./store-mark.ts";
import { Resolver, type ReplicaFactory } from "./resolver.ts";
import { fetchNothing, StoreGate, type FetchUrl, type ServedJournal } from "./store-gate.ts";
import { tellWriteHeads } from "./write-heads.ts";

export interface BrokerPorts {
  /** Open; stays open when the broker closes. */
  readonly spools: Spools;
  readonly stores: ObjectStores;
  readonly coordination: CoordinationStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default: zlib on the process's thread pool. */
  readonly codecs?: Codecs;
  /** The other brokers. Default: this one is alone, and journals have one replica whatever their specs ask for. */
  readonly network?: PeerNetwork;
  /** For health checks of stores that sign http URLs. Default: none can be fetched. */
  readonly fetch?: FetchUrl;
}

export const DEFAULT_ROOT = "/gazette/cluster";

export interface BrokerOptions {
  readonly id: ProcessId;
  /** URL at which others reach this broker. */
  readonly endpoint: string;
  /** Id of the data directory: another one after its loss (D10). Default: "", of a broker without a network. */
  readonly holder?: string;
  /**
   * Gives the data directory another id, durably, because it is an older copy of what it was; returns the id. Default:
   * such a directory is refused.
   */
  readonly renewHolder?: () => string;
  /** Where that directory is. Default: a new one is taken for what it is. */
  readonly holderPlace?: HolderPlace;
  /** Root of the broker's keys. Default {@link DEFAULT_ROOT}. */
  readonly root?: string;
  readonly journalLimit?: number;
  readonly leaseSeconds?: number;
  /** What a person sets that by. */
  readonly leaseSetting?: string;
  /** Lease of this broker's previous life, if that was not closed: revoked before the new one announces (D16). */
  readonly previousLease?: bigint;
  /** Told the lease before anything stands under it, to be the next life's `previousLease`. */
  readonly keepLease?: (lease: bigint) => void;
  /** Told while another process, or the lease of one that ended, holds this broker's id: it is waited for. */
  readonly onIdTaken?: () => void;
  /** How long the first change of the keyspace waits for more. Default 0. */
  readonly watchDelayMs?: number;
  /** Upper bound of any journal's replication. Default 9. */
  readonly replicationMax?: number;
  /** Journals that their first append creates. */
  readonly autoCreate?: readonly AutoCreateRule[];
  /** Bytes a second that an append must sustain while others wait for its journal; 0 = none. Default 65536. */
  readonly minAppendRate?: number;
  /** Bytes a second that no journal exceeds; 0 = no bound (the default). */
  readonly maxAppendRate?: number;
  /** Bytes that all readers may have in hand, from which on their chunks are small. Default 256 MiB. */
  readonly readsHeldBytesMax?: number;
  /** Whether a journal with these labels is suspended when it is idle and persisted. Default: none is. */
  readonly autoSuspend?: (labels: LabelSet) => boolean;
  /** Told once when the broker cannot go on: its lease is lost, or the store became another one. End the process. */
  readonly onFatal?: (error: WireError) => void;
}

export interface Broker {
  /** In-process access to everything. */
  readonly transport: JournalTransport;
  /** What other brokers may ask for; undefined without a network. Whoever calls knows that they are brokers. */
  readonly peers: PeerDoor | undefined;
  /** Access to the journals that exist for `principal`, as long as it may; the others are not found. */
  journalsFor(principal: Principal): PrincipalJournals;
  /** A journal's spec as the keyspace has it; undefined when none of the name exists for `principal`. */
  specOf(journal: string, principal: Principal): JournalSpec | undefined;
  /** Of this broker's session; what stands under it ends with it. */
  readonly lease: bigint;
  /** Whether a store works (section 5.6). */
  storeHealth(request: FragmentStoreHealthRequest, signal: AbortSignal): Promise<FragmentStoreHealthResponse>;
  /** Stores whose last check failed. Journals go on for a while without their store. */
  failingStores(): readonly FailingStore[];
  /** Keys of the cluster that cannot be decoded here: they are passed over, and left alone. */
  undecodableKeys(): number;
  /** Journals here whose fragments wait, as the template of their path's postfix cannot be evaluated. */
  lackingPaths(): number;
  /** Whoever removes fragments from stores on purpose says so: they are not missed, and no reader is sent to them. */
  fragmentRemoved(fragment: Fragment): void;
  /** What stands against serving; empty when ready. */
  health(): readonly string[];
  /** Closed fragments that wait for their stores. */
  backlog(): Backlog;
  /** What is copied from others of journals that this broker joined (D14). */
  joining(): JoiningProgress;
  /** Seconds from an append's call to its answer. */
  readonly appendLatency: Histogram;
  /** Leaving without loss: other brokers take over, and what is held here alone is waited for (D14). */
  readonly drain: Drain;
  /** The brokers of the cluster. */
  members(): readonly ListedBroker[];
  /**
   * Ends reads, lets appends that write finish, gives the session back. Fragments stay open: the log has them.
   * The ports stay open.
   */
  close(): Promise<void>;
}

/**
 * @param signal ends the opening; a broker that is open is ended by `close`
 * @throws {WireError} INVALID_ARGUMENT about an option
 */
export async function openBroker(
  ports: BrokerPorts,
  options: BrokerOptions,
  signal: AbortSignal,
): Promise<Broker> {
  const root = options.root ?? DEFAULT_ROOT;
  const { id, endpoint, journalLimit = 1024 } = options;
  const given: BrokerSpec = { id, endpoint, journalLimit, exiting: false, holder: options.holder ?? "" };
  validateBrokerSpec(given);
  validateKeyspaceRoot(root);
  // What a rule makes is never asked for through apply, and a spec that cannot be read back is a journal for nobody.
  for (const { prefix, template } of options.autoCreate ?? []) {
    validateJournalSpec({ ...template, name: `${prefix}x` });
  }
  const failures: string[] = [];
  const fail = (error: WireError): void => {
    failures.push(error.message);
    ports.logger.error("broker-failed", { error: error.message });
    // A lease that is lost takes the member key along, at which the allocator fails, too.
    if (failures.length === 1) options.onFatal?.(error);
  };
  const { clock, logger, coordination: store } = ports;
  const ttlSeconds = options.leaseSeconds ?? LEASE_SECONDS;
  if (options.previousLease !== undefined) await revoke(store, options.previousLease, signal);
  const keepsLists = ports.network !== undefined && given.holder !== "";
  const lists = { coordination: store, root, logger };
  const { onIdTaken, leaseSetting: setting } = options;
  const told = { ...(onIdTaken && { onTaken: onIdTaken }), ...(setting !== undefined && { setting }) };
  const session = await openSession({ store, clock, logger, ttlSeconds, onLost: fail, ...told }, signal);
  try {
    options.keepLease?.(session.lease);
    const { renewHolder: renew, holderPlace: at } = options;
    const own = { root, broker: id, directory: given.holder, renew, at, onInUse: onIdTaken };
    const directory = keepsLists ? await enterDirectory(ports, session, own, signal) : "";
    const self = keepsLists ? { ...given, holder: directory } : given;
    const revision = await session.announce(memberKey(root, id), encodeBrokerSpec(self), signal);
    const keyspace = new BrokerKeyspace(ports, root, options.watchDelayMs ?? 0);
    await keyspace.load(revision, signal);
    if (ports.network === undefined) refuseCompany(keyspace, id);
    sweepLives(ports, keyspace, await findMark(store, root, id, signal));
    await leaveMark(ports, { root, broker: id, directory }, session.lease, signal);
    const startLists = keepsLists ? await readLists(lists, signal) : undefined;
    const tasks = new TaskGroup("broker", (task, error) => {
      const { code, message } = WireError.from(error);
      // The allocator misses the member key when the lease has ended, or when somebody has deleted it.
      const why = task === "allocate" && code === "NOT_FOUND" ? `: ${session.account}` : "";
      fail(new WireError("UNAVAILABLE", `${task} failed: ${message}${why}`, { cause: error }));
    });
    return await compose({ ports, options, keyspace, startLists, self, session, tasks, failures, fail });
  } catch (error) {
    await session.close(never);
    throw error;
  }
}

/** Beside others, journals would change hands without their content. */
function refuseCompany(keyspace: BrokerKeyspace, self: ProcessId): void {
  for (const { spec } of keyspace.table.members()) {
    if (memberName(spec.id) === memberName(self)) continue;
    const text = `broker ${brokerName(spec.id)} is there already (${keyspace.root})`;
    throw new WireError("CONFLICT", `${text}, and this one replicates to no other`);
  }
}

/** A lease that has ended already is fine. */
async function revoke(store: CoordinationStore, lease: bigint, signal: AbortSignal): Promise<void> {
  try {
    await store.revokeLease(lease, signal);
  } catch (error) {
    if (WireError.from(error).code !== "NOT_FOUND") throw error;
  }
}

interface Parts {
  readonly ports: BrokerPorts;
  readonly options: BrokerOptions;
  readonly keyspace: BrokerKeyspace;
  /** Undefined: the broker is alone, or keeps no lists. */
  readonly startLists: StartLists | undefined;
  readonly self: BrokerSpec;
  readonly session: Session;
  readonly tasks: TaskGroup;
  readonly failures: readonly string[];
  readonly fail: (error: WireError) => void;
}

async function compose(parts: Parts): Promise<Broker> {
  const { ports, options, keyspace, session, tasks, failures } = parts;
  const { spools, clock, logger, coordination } = ports;
  const metrics = brokerMetrics(ports.metrics);
  const due = new DueJournals();
  const holding = openHolding(parts, () => resolver, due, metrics);
  const storage = openStorage(parts, holding);
  const open = replicasBy(storage.replicaPorts);
  // Alone there is nobody to be told, and nothing to be agreed on.
  const routed = ports.network && { routed: (journal: string) => due.add({ journal }) };
  const resolver = new Resolver(
    keyspace,
    options.id,
    { open, ...routed },
    { replicationMax: options.replicationMax ?? 9, isAlone: ports.network === undefined },
  );
  const door = holding?.door(resolver, storage.replicaPorts.journals);
  countJournals(keyspace, resolver, metrics);
  tasks.spawn("watch", (stop) => keyspace.run(stop));
  const drain = takePart({ ...parts, ...storage, resolver, metrics }, tasks);

  const served: LocalTransportPorts = {
    coordination,
    spools,
    remote: storage.replicaPorts.refresh,
    clock,
    logger,
    keyspace,
    resolver,
    metrics,
    autoCreate: options.autoCreate ?? [],
    ...forReads(parts, resolver),
    stopping: tasks.signal,
  };
  const transport = new LocalTransport(served, undefined);
  const { autoSuspend = () => false } = options;
  const replicas = (): readonly JournalReplica[] => resolver.replicas();
  const pulsing = { clock, logger, transport, replicas, autoSuspend, due, isPrimary: isPrimaryOf(resolver) };
  tasks.spawn("pulse", (stop) => runPulse(pulsing, stop));
  tasks.spawn("write heads", (stop) => tellWriteHeads(ports.metrics, pulsing, stop));
  const joining = holding?.join({ ...storage.replicaPorts, resolver, metrics }, storage.background);
  if (ports.network !== undefined) tasks.spawn("lag", (stop) => watchLag({ clock, replicas, metrics }, stop));
  const { storeGate } = storage;
  const healthMeter = new CallMeter(metrics, clock, "FragmentStoreHealth");
  return {
    transport,
    peers: door,
    journalsFor: journalsOf(served, transport, door),
    specOf: (journal, principal) => specFor(principal, keyspace.table.item(journal)?.spec),
    lease: session.lease,
    storeHealth: (request, signal) =>
      metered(healthMeter, () => storeGate.check(request, resolver.header(), signal)),
    failingStores: () => storeGate.failing(),
    undecodableKeys: () => keyspace.undecodable,
    lackingPaths: () =>
      [...storage.replicaPorts.journals.all()].filter((journal) => journal.lacksPaths).length,
    fragmentRemoved: (fragment) => storage.replicaPorts.journals.fragmentRemoved(fragment),
    health: () => [...failures, ...unready(storeGate.unready(servedJournals(resolver)), drain, spools)],
    backlog: () => storage.persister.backlog(),
    joining: () => joining?.progress ?? NOTHING_TO_JOIN,
    members: () => listBrokers(keyspace.table, options.id),
    appendLatency: metrics.appendSeconds,
    drain,
    close: async () => {
      door?.close();
      await resolver.close();
      await tasks.close();
      await closeStorage(parts, storage, drain);
      await session.close(never);
    },
  };
}

function unready(
  store: string | undefined,
  drain: Drain,
  spools: Pick<Spools, "unhealthy">,
): readonly string[] {
  return [drain.unready(), spools.unhealthy(), store].filter((reason) => reason !== undefined);
}

function forReads(
  { ports, options, keyspace, self }: Parts,
  resolver: Resolver,
): Pick<LocalTransportPorts, "calls" | "elsewhere" | "hands"> {
  const { network, coordination, clock } = ports;
  const hands = new ReadHands(options.readsHeldBytesMax ?? READS_HELD_BYTES_MAX);
  if (network === undefined) return { calls: undefined, elsewhere: undefined, hands };
  const calls = new PeerCalls(network, keyspace, clock, options.id);
  const lists = new HoldersStore(coordination, keyspace.root);
  const elsewhere = new Elsewhere({ calls, lists, resolver, holder: self.holder });
  return { calls, elsewhere, hands };
}

function isPrimaryOf(resolver: Resolver): (journal: string) => boolean {
  return (journal) => resolver.isPrimary(journal);
}

interface Storage {
  readonly replicaPorts: ReplicaPorts;
  readonly storeGate: StoreGate;
  readonly persister: Persister;
  /** Of the persister and the checks of stores: they go on while replicas close. */
  readonly background: TaskGroup;
}

async function closeStorage({ ports, keyspace }: Parts, storage: Storage, drain: Drain): Promise<void> {
  const { replicaPorts, persister, background } = storage;
  await persistLast({ ...ports, keyspace, journals: replicaPorts.journals, persister }, drain.leftOver);
  await background.close();
}

function replicasBy(ports: ReplicaPorts): ReplicaFactory["open"] {
  return (item, epoch, after) => {
    const replica = new JournalReplica(ports, item.spec, item.createRevision);
    replica.open(epoch, after);
    return replica;
  };
}

function openHolding(
  { ports, keyspace, startLists, self, session }: Parts,
  resolver: () => Resolver,
  due: DueJournals,
  metrics: BrokerMetrics,
): BrokerHolding | undefined {
  const { coordination, network, clock, logger } = ports;
  if (network === undefined || startLists === undefined) return undefined;
  return new BrokerHolding({
    coordination,
    keyspace,
    network,
    clock,
    logger,
    id: self.id,
    holder: self.holder,
    resolver,
    broken: (journal) => due.add({ journal, awaitedUntilMs: clock.monotonicMs() + LIMBO_MS }),
    startLists,
    metrics,
    lease: session,
  });
}

function openStorage({ ports, options, keyspace, fail }: Parts, holding: BrokerHolding | undefined): Storage {
  const { spools, clock } = ports;
  const refresh = { ...ports, codecs: ports.codecs ?? pooledCodecs };
  const background = new TaskGroup("broker's stores", (task, error) => fail(taskFailure(task, error)));
  const health = new StoreHealth({ ...ports, fetch: ports.fetch ?? fetchNothing }, background);
  const storeGate = new StoreGate(health);
  const onStoreFailure = (url: string): void => health.suspect(url);
  const persister = new Persister(
    { ...refresh, onStoreFailure, leftMs: spools.newestMs },
    PERSISTER_LIMITS,
    background,
  );
  const journals = new LocalJournals({
    spools,
    persister,
    clock,
    logger: ports.logger,
    ...(holding && { holding }),
  });
  const replicaPorts: ReplicaPorts = {
    journals,
    storeGate,
    refresh,
    quarantine: new QuarantineRelease({ ...refresh, spools }),
    clock,
    logger: ports.logger,
    minAppendRate: options.minAppendRate ?? MIN_APPEND_RATE,
    maxAppendRate: options.maxAppendRate ?? 0,
    isJournal: (name) => keyspace.table.item(name) !== undefined,
    replication: holding?.replication,
  };
  return { replicaPorts, storeGate, persister, background };
}

function* servedJournals(resolver: Resolver): Generator<ServedJournal> {
  for (const replica of resolver.replicas()) {
    if (!replica.isOpen) continue;
    yield {
      url: replica.spec.fragment.stores[0],
      journal: replica.local,
      unlisted: replica.unlisted(),
    };
  }
}

function taskFailure(task: string, error: unknown): WireError {
  return new WireError("UNAVAILABLE", `${task} failed: ${WireError.from(error).message}`, { cause: error });
}

/** Forgets local bytes of journals that were deleted while this broker was down, and sets aside what nobody knows. */
function sweepLives({ spools, logger }: BrokerPorts, keyspace: BrokerKeyspace, store: FoundStore): void {
  for (const life of spools.unclaimed()) {
    const { journal, createRevision } = life;
    const fate = fateOf(life, keyspace.table.item(journal)?.createRevision, spools.mark, store);
    if (fate === "kept") continue;
    if (fate === "over") logger.info("journal-forgotten", { journal, createRevision });
    else logger.error("journal-of-another-store", { journal, createRevision, keptIn: QUARANTINE_DIR });
    spools.discard(life, { quarantine: fate === "unknown" });
  }
}

function countJournals(keyspace: BrokerKeyspace, resolver: Resolver, metrics: BrokerMetrics): void {
  const reduced = new Set<string>();
  let isMixed: boolean | undefined;
  const count = (changed: Iterable<string>): void => {
    const { table } = keyspace;
    // A member that keeps no lists reduces all journals at once.
    const isOther = isMixed !== resolver.isMixedCluster;
    isMixed = resolver.isMixedCluster;
    for (const journal of isOther ? table.names("") : changed) {
      const item = table.item(journal);
      if (item !== undefined && resolver.acknowledgement(item).isReduced) reduced.add(journal);
      else reduced.delete(journal);
    }
    metrics.journals.set(table.itemCount);
    metrics.replicas.set(resolver.replicaCount);
    metrics.reduced.set(reduced.size);
  };
  count([]);
  keyspace.onUpdate(count);
}
