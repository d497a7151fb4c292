// Early fail-over (durability.md D13), performed: reports of refused connections are shared, the one who is to decide
// marks the member that is gone as out, and takes its assignments away, of journals that others hold too. The rules are
// in early-fail-over.ts.
//
//  O1  Who hears that others cannot reach a member asks it, too: one report is no proof.
//      Some neighbours ask it all the time, or a primary that is gone would be missed by nobody without an append.
//  O2  A member that is out has no capacity and does not lead, until its lease ends or it refuses nobody any more. The
//      mark stands under its own lease.
//  O3  What is deleted is compared: the decider's key, the leader's when that is the one that is gone, the assignment,
//      and the list that said that others have the bytes.
import { leaderOf } from "@millrace/allocator";
import { Gate, WireError, type Clock, type Logger } from "@millrace/base";
import {
  keyOf,
  Keyspace,
  type Compare,
  type CoordinationStore,
  type Session,
  type StoreOp,
} from "@millrace/metadata";
import type { ProcessId } from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import {
  decideFailOver,
  type AssignedJournal,
  type ClusterMember,
  type FailOver,
} from "./early-fail-over.ts";
import { decodeMark, encodeMark, markKey, marksPrefix, type Mark } from "./fail-over-marks.ts";
import { changeWithin } from "./gate-timeout.ts";
import { newestSegment } from "./holders-list.ts";
import { holdersKey } from "./holders-codec.ts";
import { brokerName, memberName, type Assignment, type Member } from "./journal-table.ts";
import {
  FAIL_OVER_LOOK_MS,
  FAIL_OVER_RETRY_MS,
  NEIGHBOUR_PROBE_MS,
  NEIGHBOURS,
  TAKEN_AT_ONCE,
} from "./limits.ts";
import type { PeerNetwork } from "./peer-network.ts";
import { readLists } from "./start-lists.ts";

export interface FailOverPorts {
  readonly coordination: CoordinationStore;
  readonly keyspace: BrokerKeyspace;
  readonly session: Session;
  readonly network: PeerNetwork;
  readonly self: ProcessId;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Taken {
  readonly journal: string;
  readonly assignment: Assignment;
  readonly listRevision: number;
}

export class EarlyFailOver {
  readonly #ports: FailOverPorts;
  readonly #self: string;
  readonly #marks: Keyspace<Mark>;
  readonly #changed = new Gate();
  /** Endpoints where connections are refused, as this broker finds: who comes back elsewhere is another one. */
  readonly #refused = new Set<string>();
  #isLoaded = false;
  /** Until when nothing is looked for to be taken. */
  #idleUntilMs = 0;

  constructor(ports: FailOverPorts) {
    this.#ports = ports;
    this.#self = memberName(ports.self);
    const { coordination: store, clock, logger, keyspace, network } = ports;
    this.#marks = new Keyspace<Mark>({
      store,
      clock,
      logger,
      prefix: marksPrefix(keyspace.root),
      decode: (_key, value) => decodeMark(value),
    });
    this.#marks.observe(() => {
      this.#changed.open();
      keyspace.changed.open(); // Who is out concerns the allocator.
    });
    keyspace.onUpdate(() => this.#changed.open());
    network.onRefused(({ endpoint }, isRefused) => {
      if (isRefused) this.#refused.add(endpoint);
      else this.#refused.delete(endpoint);
      this.#changed.open();
    });
  }

  /** O2 */
  isOut(member: Member): boolean {
    return this.#isLoaded && this.#marked(member, "out").length > 0;
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#marks.load(0, signal);
    this.#isLoaded = true;
    await Promise.all([this.#marks.run(signal), this.#watchNeighbours(signal), this.#decide(signal)]);
  }

  async #decide(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#ports;
    for (;;) {
      const changed = changeWithin(this.#changed, FAIL_OVER_LOOK_MS, clock, signal);
      // Nobody waits for it while this one acts.
      changed.catch(() => undefined);
      try {
        await this.#report(signal);
        this.#probe();
        await this.#act(signal);
      } catch (error) {
        signal.throwIfAborted();
        logger.warn("fail-over-failed", { error: WireError.from(error).message });
        await clock.sleep(FAIL_OVER_RETRY_MS, signal);
        continue;
      }
      await changed;
    }
  }

  async #watchNeighbours(signal: AbortSignal): Promise<void> {
    const { keyspace, network, clock } = this.#ports;
    for (;;) {
      const members = [...keyspace.table.members()].sort((a, b) => a.createRevision - b.createRevision);
      const at = members.findIndex(({ spec }) => memberName(spec.id) === this.#self);
      const ring = [...members.slice(at + 1), ...members.slice(0, Math.max(0, at))];
      for (const { spec } of ring.slice(0, NEIGHBOURS))
        network.probe({ id: spec.id, endpoint: spec.endpoint });
      await clock.sleep(NEIGHBOUR_PROBE_MS, signal);
    }
  }

  #marked({ spec, createRevision }: Member, kind: Mark["kind"]): readonly Mark[] {
    const name = memberName(spec.id);
    return this.#marks
      .scan()
      .map(({ value }) => value)
      .filter((mark) => mark.kind === kind && mark.member === name && mark.createRevision === createRevision);
  }

  /** Brings this broker's reports up to what it knows. */
  async #report(signal: AbortSignal): Promise<void> {
    const { keyspace, session, coordination } = this.#ports;
    const { root, table } = keyspace;
    const wanted = new Map<string, Mark>();
    for (const { spec, createRevision } of table.members()) {
      const member = memberName(spec.id);
      if (member === this.#self || !this.#refused.has(spec.endpoint)) continue;
      const mark = { kind: "refused", member, createRevision, reporter: this.#self } as const;
      wanted.set(markKey(root, mark), mark);
    }
    const success: StoreOp[] = [];
    for (const { key, value } of this.#marks.scan()) {
      if (value.reporter !== this.#self) continue;
      if (wanted.get(key)?.createRevision === value.createRevision) wanted.delete(key);
      else if (!wanted.has(key)) success.push({ kind: "delete", key });
    }
    for (const [key, mark] of wanted)
      success.push({ kind: "put", key, value: encodeMark(mark), lease: session.lease });
    if (success.length > 0) await coordination.txn({ compare: [], success }, signal);
  }

  /** O1 */
  #probe(): void {
    const { keyspace, network } = this.#ports;
    for (const member of keyspace.table.members()) {
      const { id, endpoint } = member.spec;
      if (memberName(id) === this.#self || this.#refused.has(endpoint)) continue;
      if (this.#marked(member, "refused").length > 0) network.probe({ id, endpoint });
    }
  }

  async #act(signal: AbortSignal): Promise<void> {
    const all = [...this.#ports.keyspace.table.members()];
    const members = all.map((member) => this.#clusterMember(member));
    const leader = leaderName(all);
    if (leader === undefined) return;
    const out = members.filter(({ isOut }) => isOut);
    // What was begun goes on: as if it were not out.
    const fresh = out.length === 1 ? members.map((member) => ({ ...member, isOut: false })) : members;
    const decided = decideFailOver(this.#self, leader, fresh, []);
    if (decided === undefined) {
      if (out.length > 0) await this.#restore(all, out, leader, signal);
      return;
    }
    const member = all.find(({ spec }) => memberName(spec.id) === decided.member)!;
    if (out.length === 0) await this.#mark(member, decided, all, signal);
    else if (out[0]!.id !== decided.member) return;
    await this.#take(member, fresh, leader, all, signal);
  }

  #clusterMember(member: Member): ClusterMember {
    const { spec, createRevision } = member;
    const refusedTo = this.#marked(member, "refused").map(({ reporter }) => reporter!);
    const isOut = this.isOut(member);
    return { id: memberName(spec.id), createRevision, isDraining: spec.exiting, isOut, refusedTo };
  }

  /** Nobody is refused by it any more: its mark goes, by whoever leads. */
  async #restore(
    all: readonly Member[],
    out: readonly ClusterMember[],
    leader: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { coordination, keyspace, logger } = this.#ports;
    const first = out.some(({ id }) => id === leader)
      ? leaderName(all.filter((member) => !this.isOut(member)))
      : leader;
    if (first !== this.#self) return;
    const back = out.filter(({ refusedTo }) => refusedTo.length === 0);
    if (back.length === 0) return;
    const success: StoreOp[] = back.map(({ id: member }) => ({
      kind: "delete",
      key: markKey(keyspace.root, { member }),
    }));
    await coordination.txn({ compare: this.#compared([this.#self], all), success }, signal);
    const members = all
      .map(({ spec }) => spec.id)
      .filter((id) => back.some((one) => one.id === memberName(id)));
    logger.info("member-is-back", { members: members.map(brokerName) });
  }

  async #mark(
    member: Member,
    { compared }: FailOver,
    all: readonly Member[],
    signal: AbortSignal,
  ): Promise<void> {
    const { coordination, keyspace, logger } = this.#ports;
    const mark: Mark = {
      kind: "out",
      member: memberName(member.spec.id),
      createRevision: member.createRevision,
    };
    const key = markKey(keyspace.root, mark);
    const compare: Compare[] = [
      ...this.#compared(compared, all),
      { target: "create", key: member.key, op: "=", revision: member.createRevision },
      { target: "version", key, op: "=", version: 0 },
    ];
    const put: StoreOp = { kind: "put", key, value: encodeMark(mark), lease: member.lease };
    const { succeeded } = await coordination.txn({ compare, success: [put] }, signal);
    if (!succeeded) throw new WireError("ETCD_TRANSACTION_FAILED", "what was compared has changed");
    this.#idleUntilMs = 0;
    logger.warn("member-is-out", { member: brokerName(member.spec.id) });
  }

  /** Deletes the assignments of the journals that others hold too. */
  async #take(
    member: Member,
    members: readonly ClusterMember[],
    leader: string,
    all: readonly Member[],
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, logger } = this.#ports;
    // What is left waits for the member's lease: it need not be looked at with every change.
    if (clock.monotonicMs() < this.#idleUntilMs) return;
    const found = await this.#journalsOf(memberName(member.spec.id), all, signal);
    const journals = found.map(({ known }) => known);
    const decided = decideFailOver(this.#self, leader, members, journals);
    if (decided === undefined) return;
    const may = new Set(decided.journals);
    const taken = found.filter(({ known }) => may.has(known.journal));
    const compared = this.#compared(decided.compared, all);
    let count = 0;
    for (let at = 0; at < taken.length; at += TAKEN_AT_ONCE) {
      const some = taken.slice(at, at + TAKEN_AT_ONCE);
      if (await this.#delete(some, compared, signal)) count += some.length;
      else for (const one of some) if (await this.#delete([one], compared, signal)) count++;
    }
    if (taken.length > 0) logger.warn("assignments-taken", { member: brokerName(member.spec.id), count });
    if (count === taken.length) this.#idleUntilMs = clock.monotonicMs() + FAIL_OVER_LOOK_MS;
  }

  async #delete(
    taken: readonly Taken[],
    compared: readonly Compare[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const { coordination, keyspace } = this.#ports;
    const compare: Compare[] = [...compared];
    const success: StoreOp[] = [];
    for (const { journal, assignment, listRevision } of taken) {
      const { key, modRevision } = assignment;
      compare.push({ target: "mod", key, op: "=", revision: modRevision });
      compare.push({
        target: "mod",
        key: keyOf(holdersKey(keyspace.root, journal)),
        op: "=",
        revision: listRevision,
      });
      success.push({ kind: "delete", key });
    }
    return (await coordination.txn({ compare, success }, signal)).succeeded;
  }

  async #journalsOf(
    member: string,
    all: readonly Member[],
    signal: AbortSignal,
  ): Promise<readonly (Taken & { readonly known: AssignedJournal })[]> {
    const { keyspace, coordination, logger } = this.#ports;
    const { table, root } = keyspace;
    const nameOf = new Map(all.map(({ spec }) => [spec.holder, memberName(spec.id)]));
    const stored = await readLists({ coordination, root, logger }, signal);
    const found: (Taken & { readonly known: AssignedJournal })[] = [];
    for (const journal of table.assigned()) {
      const assignments = table.assignments(journal);
      const assignment = assignments.find((one) => memberName(one.member) === member);
      const item = table.item(journal);
      if (assignment === undefined || item === undefined) continue;
      const assigned = assignments.map((one) => memberName(one.member));
      const at = stored.get(journal);
      if (at !== undefined && at.stored === undefined) continue; // Nobody can read it: it waits for the lease.
      const list = at?.stored?.createRevision === item.createRevision ? at.stored.list : undefined;
      const holders =
        list === undefined || list.tail.kind === "closed"
          ? ("not-needed" as const)
          : list.tail.kind === "void"
            ? assigned
            : newestSegment(list)!.members.flatMap((holder) => nameOf.get(holder) ?? []);
      const known = { journal, assigned, holders };
      found.push({ journal, assignment, listRevision: at?.modRevision ?? 0, known });
    }
    return found;
  }

  #compared(names: readonly string[], all: readonly Member[]): Compare[] {
    return all
      .filter(({ spec }) => names.includes(memberName(spec.id)))
      .map(({ key, modRevision }) => ({ target: "mod", key, op: "=", revision: modRevision }));
  }
}

/** Of the allocator, were nobody out. */
function leaderName(members: readonly Member[]): string | undefined {
  const entries = members
    .map(({ key, spec, createRevision, modRevision, lease }) => {
      const { id, journalLimit: limit, exiting } = spec;
      return { key, name: memberName(id), zone: id.zone, limit, exiting, createRevision, modRevision, lease };
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  return entries[leaderOf(entries)]?.name;
}
