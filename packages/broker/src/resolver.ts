// Who serves a journal, at the keyspace's revision (sections 1.11 and 4.1), and the local replicas that follow it.
//
//  R1  A replica is kept while its journal's life (create revision) is assigned here; promotion keeps it, demotion
//      and another life replace it.
//  R2  A change of a journal's assignments, or of what its spec says of appends (stores, flags, labels, replicas,
//      suspension), invalidates what was resolved of it: an append that waits is judged by the spec as it is when its
//      turn comes. So does a member that keeps no lists, when it comes or goes: what appends wait for is another then.
//  R3  A successor opens its spool only after its predecessor has closed its own (D1).
import { Gate, WireError } from "@millrace/base";
import {
  desiredReplication,
  EMPTY_PROCESS_ID,
  EMPTY_ROUTE,
  equalLabelSets,
  equalProcessIds,
  equivalentRoutes,
  extendedLabels,
  matchesSelector,
  suspension,
  type Header,
  type JournalSpec,
  type LabelSelector,
  type ProcessId,
  type Route,
  type Status,
} from "@millrace/protocol";
import {
  effectiveAcknowledgement,
  wantedAcknowledgement,
  type EffectiveAcknowledgement,
} from "./acknowledgement-rule.ts";
import type { AppendResolution } from "./append-states.ts";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { eitherSignal } from "./either-signal.ts";
import type { JournalReplica, ReplicaFate } from "./journal-replica.ts";
import type { Assignment, Item, Member } from "./journal-table.ts";

/** What a status needs: `primary` for appends, `member` for reads. */
export type Authority = "primary" | "member";

export interface ResolveOptions {
  readonly authority: Authority;
  readonly mayProxy: boolean;
  /** Journals outside are not found. */
  readonly visible: LabelSelector | undefined;
}

export interface Resolution extends AppendResolution {
  readonly item: Item | undefined;
  readonly assignments: readonly Assignment[];
  readonly localReplica: JournalReplica | undefined;
}

export interface ReplicaFactory {
  /** @param after the end of the journal's earlier replica here */
  open(item: Item, epoch: number, after: Promise<void>): JournalReplica;
  /** This broker is the primary of a journal whose route, or store, is new. */
  routed?(journal: string): void;
}

export interface ResolverOptions {
  readonly replicationMax: number;
  /** There are no other brokers, and so none that keeps no lists of holders. */
  readonly isAlone: boolean;
}

/** Stands for this broker once its member key is gone (late in its shutdown). */
const MISSING_ID: ProcessId = { zone: "local-BrokerSpec", suffix: "missing-from-Etcd" };

interface Served {
  readonly replica: JournalReplica;
  wasPrimary: boolean;
  /** What the route is made of, and the stores. */
  fingerprint: string;
  spec: JournalSpec;
}

export class Resolver {
  readonly #keyspace: BrokerKeyspace;
  readonly #self: ProcessId;
  readonly #replicationMax: number;
  readonly #isAlone: boolean;
  readonly #factory: ReplicaFactory;
  readonly #replicas = new Map<string, Served>();
  readonly #closing = new Map<string, Promise<void>>();
  /** What appends of callers who see everything resolve to, until the keyspace changes. */
  readonly #primaries = new Map<string, Resolution>();
  /** Of journals that somebody waits for, from a change to the next. */
  readonly #awaited = new Map<string, Gate>();
  readonly #stopped = new AbortController();
  /** Whether a member keeps no lists; undefined: not looked at since the keyspace changed. */
  #isMixed: boolean | undefined;
  /** The same, when it was looked at last. */
  #wasMixed = false;

  constructor(keyspace: BrokerKeyspace, self: ProcessId, factory: ReplicaFactory, options: ResolverOptions) {
    this.#keyspace = keyspace;
    this.#self = self;
    this.#factory = factory;
    this.#replicationMax = options.replicationMax;
    this.#isAlone = options.isAlone;
    keyspace.onUpdate((changed) => {
      this.#isMixed = undefined;
      this.#primaries.clear();
      for (const journal of changed) this.#reconcile(journal);
      this.#noteMixed();
      for (const journal of changed) this.#wake(journal);
    });
    for (const journal of keyspace.table.assigned()) this.#reconcile(journal);
    this.#wasMixed = this.isMixedCluster;
  }

  /** Aborts when this broker begins to stop. */
  get stopped(): AbortSignal {
    return this.#stopped.signal;
  }

  get replicaCount(): number {
    return this.#replicas.size;
  }

  replicas(): JournalReplica[] {
    return [...this.#replicas.values()].map(({ replica }) => replica);
  }

  /** The header of answers that concern no journal. */
  header(): Header {
    const { clusterId, memberId, revision, raftTerm } = this.#keyspace.header;
    return {
      processId: this.#selfId(),
      route: EMPTY_ROUTE,
      etcd: { clusterId, memberId, revision, raftTerm },
    };
  }

  /**
   * Checks that `header` was meant for this broker. Waiting for its revision is the caller's.
   * @throws {WireError} INVALID_ARGUMENT
   */
  checkHeader(header: Header): void {
    const own = this.#keyspace.header.clusterId;
    if (header.etcd.clusterId !== own) {
      const text = `request Etcd ClusterId doesn't match our own (${header.etcd.clusterId} vs ${own})`;
      throw new WireError("INVALID_ARGUMENT", text);
    }
    const { zone, suffix } = header.processId;
    const isEmpty = zone === "" && suffix === "";
    if (isEmpty || equalProcessIds(header.processId, this.#self)) return;
    const text = `request ProcessId doesn't match our own (${idText(header.processId)} vs ${idText(this.#self)})`;
    throw new WireError("INVALID_ARGUMENT", text);
  }

  /**
   * Waits until this broker has seen `revision`, and what `header` was made at. @returns undefined when it has
   * @throws {WireError} INVALID_ARGUMENT for a header that was meant for another broker
   */
  readThrough(header: Header | undefined, revision: number, signal: AbortSignal): Promise<void> | undefined {
    if (header !== undefined) this.checkHeader(header);
    const wanted = Math.max(revision, header?.etcd.revision ?? 0);
    if (this.#keyspace.holds(wanted)) return undefined;
    const scope = eitherSignal(signal, this.#stopped.signal);
    return this.#keyspace.waitForRevision(wanted, scope.signal).finally(() => scope.dispose());
  }

  /**
   * Resolves when the journal, which exists, or its assignments are others than were resolved. A change of hands of
   * many journals is not heard by those who wait for another one.
   * @throws {WireError} SHUTTING_DOWN
   */
  async changed({ item, assignments }: Resolution, signal: AbortSignal): Promise<void> {
    const { table } = this.#keyspace;
    const journal = item!.spec.name;
    const scope = eitherSignal(signal, this.#stopped.signal);
    try {
      while (table.item(journal) === item && table.assignments(journal) === assignments)
        await this.#gateOf(journal).next(scope.signal);
    } finally {
      scope.dispose();
    }
  }

  #gateOf(journal: string): Gate {
    const known = this.#awaited.get(journal);
    if (known !== undefined) return known;
    const gate = new Gate();
    this.#awaited.set(journal, gate);
    return gate;
  }

  /** @param journal without metadata segment @throws {WireError} SHUTTING_DOWN */
  resolve(journal: string, options: ResolveOptions): Resolution {
    const isUsual = options.authority === "primary" && options.mayProxy && options.visible === undefined;
    if (!isUsual) return this.#resolve(journal, options);
    let resolution = this.#primaries.get(journal);
    if (resolution === undefined) {
      resolution = this.#resolve(journal, options);
      if (resolution.status === "OK") this.#primaries.set(journal, resolution);
    }
    return resolution;
  }

  #resolve(journal: string, options: ResolveOptions): Resolution {
    const { table } = this.#keyspace;
    const item = table.item(journal);
    const seen =
      item !== undefined &&
      (options.visible === undefined ||
        matchesSelector(options.visible, extendedLabels(item.spec.name, item.spec.labels)));
    if (!seen) return this.#unresolved("JOURNAL_NOT_FOUND");

    const assignments = table.assignments(journal);
    const route = this.#routeOf(assignments);
    const isMember = assignments.some(({ member }) => equalProcessIds(member, this.#self));
    const primary = route.primary < 0 ? undefined : route.members[route.primary];
    const authority = options.authority === "primary" ? primary : isMember ? this.#self : undefined;
    const isSelf = authority !== undefined && equalProcessIds(authority, this.#self);
    const status = statusOf(item, route, options, isSelf);

    const local = isSelf && status === "OK" ? this.#replicas.get(journal)?.replica : undefined;
    if (isSelf && status === "OK" && local === undefined) {
      throw new WireError("SHUTTING_DOWN", "resolver has stopped serving local replicas");
    }
    const { etcd } = this.header();
    const processId = status === "OK" ? (authority ?? EMPTY_PROCESS_ID) : this.#selfId();
    return {
      status,
      header: { processId, route, etcd },
      spec: item.spec,
      item,
      assignments,
      primaryIsSelf: isSelf,
      replica: local?.id ?? 0,
      localReplica: local,
      desiredReplicas: this.desiredReplicas(item),
      ...this.acknowledgement(item),
      assignmentsConsistent: assignments.every((assignment) => equivalentRoutes(assignment.route, route)),
    };
  }

  /** Whether the journal is assigned to this broker. */
  isMember(journal: string): boolean {
    return this.#replicas.has(journal);
  }

  /** Whether this broker is the journal's primary. */
  isPrimary(journal: string): boolean {
    return this.#replicas.get(journal)?.wasPrimary === true;
  }

  /** Replicas that the journal should have now. */
  desiredReplicas(item: Item): number {
    return desiredReplication(item.spec, this.#replicationMax);
  }

  /** What an append of the journal waits for now (D15). */
  acknowledgement({ spec }: Item): EffectiveAcknowledgement {
    const desired = desiredReplication(spec, this.#replicationMax);
    return effectiveAcknowledgement(wantedAcknowledgement(spec.labels), desired, this.isMixedCluster);
  }

  get isMixedCluster(): boolean {
    this.#isMixed ??= !this.#isAlone && [...this.#keyspace.table.members()].some(keepsNoLists);
    return this.#isMixed;
  }

  /** Ends all local replicas, and with them their appends and reads; journals that resolve here fail from now on. */
  async close(): Promise<void> {
    this.#stopped.abort(new WireError("SHUTTING_DOWN", "the broker is stopping"));
    this.#primaries.clear();
    for (const journal of [...this.#replicas.keys()]) this.#drop(journal, "stopped");
    await Promise.all(this.#closing.values());
  }

  /** Resolves when no replica of the journal is closing here. */
  async closed(journal: string): Promise<void> {
    await this.#closing.get(journal);
  }

  /** R2 */
  #noteMixed(): void {
    if (this.isMixedCluster === this.#wasMixed) return;
    this.#wasMixed = this.isMixedCluster;
    for (const { replica } of this.#replicas.values()) replica.invalidate();
  }

  #wake(journal: string): void {
    const gate = this.#awaited.get(journal);
    this.#awaited.delete(journal);
    gate?.open();
  }

  #reconcile(journal: string): void {
    if (this.stopped.aborted) return;
    const { table } = this.#keyspace;
    const item = table.item(journal);
    const assignments = table.assignments(journal);
    const mine = assignments.find(({ member }) => equalProcessIds(member, this.#self));
    const entry = this.#replicas.get(journal);
    if (item === undefined || mine === undefined) {
      if (entry !== undefined) this.#drop(journal, item === undefined ? "deleted" : "released");
      return;
    }
    const isPrimary = mine.slot === 0;
    const fingerprint = fingerprintOf(item, assignments);
    if (entry !== undefined && entry.replica.createRevision === item.createRevision) {
      const demoted = entry.wasPrimary && !isPrimary;
      if (!demoted) {
        entry.wasPrimary = isPrimary;
        entry.replica.setPrimary(isPrimary);
        entry.replica.updateSpec(item.spec);
        const isNew = entry.fingerprint !== fingerprint;
        const isOther = isNew || asksOtherwise(entry.spec, item.spec);
        entry.fingerprint = fingerprint;
        entry.spec = item.spec;
        if (isOther) entry.replica.invalidate(); // R2
        if (isNew && isPrimary) this.#factory.routed?.(journal);
        return;
      }
    }
    if (entry !== undefined) {
      this.#drop(journal, entry.replica.createRevision === item.createRevision ? "released" : "deleted");
    }
    const epoch = assignments.reduce((most, { modRevision }) => Math.max(most, modRevision), 0);
    const replica = this.#factory.open(item, epoch, this.#closing.get(journal) ?? Promise.resolve());
    replica.setPrimary(isPrimary);
    this.#replicas.set(journal, { replica, wasPrimary: isPrimary, fingerprint, spec: item.spec });
    if (isPrimary) this.#factory.routed?.(journal);
  }

  #drop(journal: string, fate: ReplicaFate): void {
    const entry = this.#replicas.get(journal);
    if (entry === undefined) return;
    this.#replicas.delete(journal);
    const before = this.#closing.get(journal) ?? Promise.resolve();
    const closing = before
      .then(() => entry.replica.close(fate))
      .finally(() => {
        if (this.#closing.get(journal) === closing) this.#closing.delete(journal);
      });
    this.#closing.set(journal, closing);
    entry.replica.invalidate();
  }

  routeOf(journal: string): Route {
    return this.#routeOf(this.#keyspace.table.assignments(journal));
  }

  #routeOf(assignments: readonly Assignment[]): Route {
    const { table } = this.#keyspace;
    return {
      members: assignments.map(({ member }) => member),
      primary: assignments.findIndex(({ slot }) => slot === 0),
      endpoints: assignments.map(({ member }) => table.member(member)?.spec.endpoint ?? ""),
    };
  }

  #unresolved(status: Status): Resolution {
    return {
      status,
      header: this.header(),
      spec: undefined,
      item: undefined,
      assignments: [],
      primaryIsSelf: false,
      replica: 0,
      localReplica: undefined,
      desiredReplicas: 0,
      minReplicas: 0,
      level: "synced",
      isReduced: false,
      isEarly: false,
      assignmentsConsistent: true,
    };
  }

  #selfId(): ProcessId {
    return this.#keyspace.table.member(this.#self) === undefined ? MISSING_ID : this.#self;
  }
}

function statusOf(
  item: Item,
  route: Route,
  { authority, mayProxy }: ResolveOptions,
  isSelf: boolean,
): Status {
  if (suspension(item.spec).level === "FULL") return "SUSPENDED";
  if (authority === "primary" && route.primary < 0) return "NO_JOURNAL_PRIMARY_BROKER";
  if (route.members.length === 0) return "INSUFFICIENT_JOURNAL_BROKERS";
  if (isSelf || mayProxy) return "OK";
  return authority === "primary" ? "NOT_JOURNAL_PRIMARY_BROKER" : "NOT_JOURNAL_BROKER";
}

function fingerprintOf(item: Item, assignments: readonly Assignment[]): string {
  const keys = assignments.map(({ key, modRevision }) => `${key}@${modRevision}`);
  return [...keys, ...item.spec.fragment.stores].join("\n");
}

/** Whether an append may be judged otherwise. Rates, and how fragments are cut, are looked at where they count. */
function asksOtherwise(before: JournalSpec, now: JournalSpec): boolean {
  if (before === now) return false;
  const [was, is] = [suspension(before), suspension(now)];
  return (
    before.flags !== now.flags ||
    before.replication !== now.replication ||
    was.level !== is.level ||
    was.offset !== is.offset ||
    !equalLabelSets(before.labels, now.labels)
  );
}

/** As Gazette's brokers. */
function keepsNoLists({ spec }: Member): boolean {
  return spec.holder === "";
}

function idText(id: ProcessId): string {
  return `zone:"${id.zone}" suffix:"${id.suffix}" `;
}
