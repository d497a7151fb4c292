// Replication of one journal by its primary: the pipeline to the peers of a route, from the activation of the route to
// the acknowledgement of appends.
//
//   closed ──► opening ──► open ──► broken          closed again from each of them
//
//  N1  Nothing is written before the route was activated (D10), and only with the spool's token.
//  N2  Bytes are shown once every member has them synced (D9): the spool hides them until then. A route of one member
//      hides nothing, and its appends do not come by here.
//  N3  A pipeline that broke is not mended: the next append activates the route anew, whatever became of the bytes.
//      Those that waited for its peers wait for that (replicated-append.ts).
//  N4  One that is older than its streams may be is not used any more: the next append, or pulse, opens another one,
//      after what is under way. Peers end streams whose token is over.
//  N5  The level at which appends are acknowledged is the pipeline's: the list of holders says it, and another one
//      takes another activation. Where it is early (unsynced-commits.ts), bytes are shown and confirmed no earlier.
//  N6  The list may be closed between its activation and the taking of the spool (K8 of journal-holder.ts): the route
//      is activated again then, which writes the list.
import { assert, Gate, never, WireError } from "@millrace/base";
import type { CommitOutcome } from "@millrace/fragments";
import {
  equalProcessIds,
  equivalentRoutes,
  newFragment,
  newReplicateRequest,
  ZERO_SHA1,
  type JournalSpec,
  type LabelSet,
  type ProcessId,
  type Route,
} from "@millrace/protocol";
import { wantedAcknowledgement } from "./acknowledgement-rule.ts";
import {
  activateRoute,
  type ActivationPorts,
  type ActiveRoute,
  type ResetWish,
} from "./activation-runner.ts";
import type { AppendInput, PeerAnswer } from "./append-states.ts";
import type { BrokerMetrics } from "./broker-metrics.ts";
import { changeWithin } from "./gate-timeout.ts";
import { isHeldWithout } from "./holders-list.ts";
import { LIMBO_MS, PIPELINE_CLOSE_MS } from "./limits.ts";
import type { JournalHolder } from "./journal-holder.ts";
import type { LocalJournal } from "./local-journal.ts";
import { PeerCommits, type ConfirmTimers } from "./peer-commits.ts";
import { PeerPipeline, type EarlyHooks, type PeerListener, type PeerStream } from "./peer-pipeline.ts";
import type { PeerNetwork } from "./peer-network.ts";
import type { Resolution } from "./resolver.ts";
import { Limbo, ReplicatedAppend } from "./replicated-append.ts";
import type { SpoolLease, SpoolUser } from "./spool-token.ts";
import { UnsyncedCommits } from "./unsynced-commits.ts";

/** How often an opening finds its activation retired (N6), before the append is told. */
const RETIRED_MAX = 3;

export interface ReplicationPorts extends ActivationPorts {
  readonly network: PeerNetwork;
  readonly confirming: ConfirmTimers;
  /** The journal as the keyspace has it now, for its primary. */
  readonly resolve: (journal: string) => Resolution;
  readonly routeOf: (journal: string) => Route;
  readonly metrics: Pick<BrokerMetrics, "replicationSeconds">;
  readonly lease: BrokerLease;
  /** Appends wait for the journal's route to be activated again. */
  readonly broken: (journal: string) => void;
}

/** What this broker's journals are its own by. */
export interface BrokerLease {
  /** It was not renewed in time: its journals may be others'. */
  readonly isLate: boolean;
  /** Whether it lives; the store is asked at once while it is late. @throws what aborted `signal` */
  isAlive(signal: AbortSignal): Promise<boolean>;
}

/** Whoever has the journal's pipeline. */
export interface PipelineHolder {
  /** End the append that writes, and then `close`. */
  readonly evicted: (reason: WireError) => void;
  /** Appends are in limbo: who writes behind them must not wait for them, since what ends that needs the pipeline. */
  readonly stalled: (reason: WireError) => void;
}

interface Opened {
  readonly route: Route;
  readonly active: ActiveRoute;
  readonly lease: SpoolLease;
  /** Monotonic. */
  readonly openedMs: number;
  /** Undefined on a route of one member. */
  readonly pipeline: PeerPipeline | undefined;
  /** Where its peers answer before they have synced. */
  readonly unsynced: UnsyncedCommits | undefined;
  /** As the journal was when it was opened, or a newer one that asks for the same level. */
  spec: JournalSpec;
  /** Once the peers are in sync. */
  commits: PeerCommits | undefined;
}

type Activated =
  | Extract<PipelineOpening, { readonly kind: "overtaken" }>
  | {
      readonly kind: "active";
      readonly active: ActiveRoute;
      readonly lease: SpoolLease;
      readonly holder: JournalHolder;
    };

export type PipelineOpening =
  | { readonly kind: "opened" }
  /** Somebody knows a newer route. */
  | { readonly kind: "overtaken"; readonly revision: number };

export class Replication implements SpoolUser {
  readonly #ports: ReplicationPorts;
  readonly #local: LocalJournal;
  readonly #user: PipelineHolder;
  readonly #calm = new Gate();
  readonly #limbo: Limbo;
  #open: Opened | undefined;
  /** Commits whose peers, or whose log, are awaited. */
  #pending = 0;

  /** @param user whoever has the journal's pipeline */
  constructor(ports: ReplicationPorts, local: LocalJournal, user: PipelineHolder) {
    this.#ports = ports;
    this.#local = local;
    this.#user = user;
    this.#limbo = new Limbo(ports.clock);
  }

  /** Undefined while it is closed, broken, or not in sync. */
  get route(): Route | undefined {
    const open = this.#open;
    if (open === undefined || this.failure !== undefined) return undefined;
    if (this.#isOld(open) || this.#isOfAnotherLevel(open)) return undefined;
    return open.pipeline === undefined || open.commits !== undefined ? open.route : undefined;
  }

  /** Whether the route that is open has others than this broker. */
  get hasPeers(): boolean {
    return this.#open?.pipeline !== undefined;
  }

  /** Whether appends are acknowledged when all members have them, synced or not. */
  get isEarly(): boolean {
    return this.#open?.unsynced !== undefined;
  }

  /** Undefined where there is nobody to replicate to. */
  get commits(): PeerCommits | undefined {
    return this.#open?.commits;
  }

  get failure(): WireError | undefined {
    return this.#open?.pipeline?.failure;
  }

  /**
   * Closes what was open, and activates the route. Whoever calls has the journal's pipeline.
   * @param wish whether to give up what nobody can bring
   * @throws {WireError} UNAVAILABLE; what aborted `signal`
   */
  async open(resolution: Resolution, signal: AbortSignal, wish?: ResetWish): Promise<PipelineOpening> {
    await this.close();
    if (this.#limbo.isEmpty) this.#local.holder?.takeCut(); // L1: else what an opening cut that failed counts
    const activated = await this.#activate(resolution, signal, wish);
    if (activated.kind === "overtaken") return activated;
    const { active, lease, holder } = activated;
    const { spool } = this.#local;
    const { route } = resolution.header;
    const peers = route.members.filter((_, i) => i !== route.primary);
    spool.confirm(active.confirmed);
    if (peers.length === 0) spool.confirm(Number.POSITIVE_INFINITY);
    // A spool that begins where the journal was suspended is beyond what anybody has.
    else spool.hide(Math.max(active.confirmed, spool.syncedEnd));
    const unsynced = active.isEarly && peers.length > 0 ? new UnsyncedCommits() : undefined;
    const { journal } = spool.life;
    const pipeline = peers.length === 0 ? undefined : this.#connect(route, peers, journal, unsynced);
    const openedMs = this.#ports.clock.monotonicMs();
    this.#open = {
      route,
      active,
      lease,
      openedMs,
      pipeline,
      unsynced,
      spec: this.#local.spec,
      commits: undefined,
    };
    // On a route with a broker that keeps no lists, not all members have what is behind.
    if (active.isMixed) this.#limbo.fail();
    else this.#limbo.activated(active.confirmed, holder.takeCut(), isEnough(resolution));
    holder.knownEnd.activated();
    return { kind: "opened" };
  }

  /** Activates the route, and takes the spool. */
  async #activate(resolution: Resolution, signal: AbortSignal, wish?: ResetWish): Promise<Activated> {
    const { spool, holder } = this.#local;
    const { journal } = spool.life;
    assert(holder !== undefined, "a journal that is replicated has a holder", { journal });
    const resolve = (): Resolution => this.#ports.resolve(journal);
    for (let retired = 0; ; retired++) {
      const outcome = await activateRoute(this.#ports, resolution, resolve, signal, wish);
      if (outcome.kind === "overtaken") return outcome;
      const { active } = outcome;
      try {
        const lease = await holder.takeSpool(this, active, signal);
        return { kind: "active", active, lease, holder };
      } catch (error) {
        signal.throwIfAborted();
        // N6
        if (retired === RETIRED_MAX || holder.answerAppend(active) !== "WRONG_STREAM") throw error;
      }
    }
  }

  /** Proposes the fragment that the spool has begun; it is empty. */
  sync({ header }: Resolution, isFirst: boolean): Promise<AppendInput> {
    const open = this.#open;
    assert(open?.pipeline !== undefined, "a pipeline to peers is open");
    const { pipeline, active } = open;
    const { spool, spec } = this.#local;
    const { begin, pendingEnd: ownEnd, pendingRegisters: registers } = spool;
    const { journal } = spool.life;
    const { compressionCodec } = spec.fragment;
    assert(begin === ownEnd, "a proposal that brings peers into sync has no bytes", { journal });
    const proposal = newFragment({ journal, begin, end: ownEnd, sum: ZERO_SHA1, compressionCodec });
    const { epoch, stream, confirmed } = active;
    const request = newReplicateRequest({
      proposal,
      registers,
      acknowledge: true,
      epoch: active.isMixed ? 0 : epoch,
      stream: active.isMixed ? 0 : stream,
      confirmed,
      early: open.unsynced !== undefined,
    });
    open.commits?.dispose();
    open.commits = undefined;
    return new Promise((resolve) => {
      pipeline.ask(
        (peer) =>
          isFirst
            ? { ...request, header: { ...header, processId: peer }, deprecatedJournal: journal }
            : request,
        (answers, failure) => {
          if (failure !== undefined) {
            const error = new WireError("UNAVAILABLE", `gatherSync: ${failure.message}`, { cause: failure });
            resolve({ kind: "effect-failed", error });
            return;
          }
          if (answers.every(isInSync)) {
            open.commits = this.#commitsFor(open, registers);
          }
          resolve({ kind: "sync-gathered", ownEnd, answers });
        },
      );
    });
  }

  /** The fragment was rolled, or is to be of another codec. */
  rolled(): void {
    const { spool, spec } = this.#local;
    this.commits?.rolled(spool.begin, spec.fragment.compressionCodec, spool.pendingRegisters);
  }

  /**
   * An append is about to be handed to the log, and to the peers.
   * @param end of its bytes @param done told once, after those before it
   */
  committed(end: number, done: (outcome: CommitOutcome) => void): ReplicatedAppend {
    const open = this.#open!;
    this.#pending++;
    return new ReplicatedAppend(end, {
      settled: () => {
        this.#pending--;
        if (this.#pending === 0) this.#calm.open();
      },
      inLimbo: (append) => {
        this.#limbo.add(append);
        const { journal } = this.#local.spool.life;
        const text = `what was appended to journal ${journal} before waits for its replicas`;
        this.#user.stalled(new WireError("UNAVAILABLE", text, { facts: { journal } }));
        this.#ports.broken(journal);
      },
      ended: (outcome) => {
        if (outcome.kind === "acknowledged") {
          this.#local.spool.confirm(end); // N2
          open.commits?.confirm(end);
        } else open.pipeline!.abandon(outcome.error);
        done(outcome);
      },
    });
  }

  /**
   * An append is about to be handed to the log, on a route of one member: no peer tells there that the journal is
   * another broker's by now, as it may be after a pause of this process (D12). A lease that is late may be so by a wall
   * clock that was set ahead: the outcome waits for what the store says of it, no longer than in limbo.
   */
  committedAlone(done: (outcome: CommitOutcome) => void): (outcome: CommitOutcome) => void {
    return (outcome) => {
      if (outcome.kind !== "acknowledged" || !this.#ports.lease.isLate) return done(outcome);
      const text = "this broker's lease was not renewed in time, another one may have the journal";
      const unknown: CommitOutcome = { kind: "unknown", error: new WireError("OUTCOME_UNKNOWN", text) };
      this.#livesOn().then(
        (isAlive) => done(isAlive ? outcome : unknown),
        () => done(unknown),
      );
    };
  }

  async #livesOn(): Promise<boolean> {
    const { clock, lease } = this.#ports;
    const scope = new AbortController();
    const text = "nobody says whether the lease lives";
    const cancel = clock.after(LIMBO_MS, () => scope.abort(new WireError("UNAVAILABLE", text)));
    try {
      return await lease.isAlive(scope.signal);
    } finally {
      cancel();
    }
  }

  /** Whether others hold content that this broker need not have. @throws {WireError} of the store; CORRUPT */
  async isHeldElsewhere(signal: AbortSignal): Promise<boolean> {
    const { lists, holders } = this.#ports;
    const { life, pendingEnd } = this.#local.spool;
    const { list } = await lists.read(life.journal, life.createRevision, signal);
    return list !== undefined && isHeldWithout(list, holders.self, pendingEnd);
  }

  /** The keyspace has a route for the journal. One that was left has a moment to come to its end. */
  routeSeen(route: Route): void {
    const open = this.#open;
    if (open?.pipeline === undefined || equivalentRoutes(open.route, route)) return;
    this.#ports.clock.after(PIPELINE_CLOSE_MS, () => {
      open.pipeline!.abandon(
        new WireError("UNAVAILABLE", "the route has changed, and its peers do not answer"),
      );
    });
  }

  evict(reason: WireError): void {
    this.#user.evicted(reason);
  }

  /** The journal is not served here any more: closes, and nobody waits. */
  async end(): Promise<void> {
    await this.close();
    this.#limbo.fail();
  }

  /** Lets go of the peers and of the spool, after what is under way. */
  async close(): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    open.commits?.dispose();
    await this.#settle(open);
    open.pipeline?.close();
    open.lease.release();
  }

  async #settle({ pipeline }: Opened): Promise<void> {
    const { clock } = this.#ports;
    const untilMs = clock.monotonicMs() + PIPELINE_CLOSE_MS;
    while (this.#pending > 0 && pipeline !== undefined) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) pipeline.abandon(new WireError("UNAVAILABLE", "the peers do not answer"));
      await changeWithin(this.#calm, Math.max(1, leftMs), clock, never);
    }
    await this.#local.settled();
  }

  /** N4 */
  #isOld({ pipeline, openedMs }: Opened): boolean {
    const { network, clock } = this.#ports;
    const { streamMs = Number.POSITIVE_INFINITY } = network;
    return pipeline !== undefined && clock.monotonicMs() - openedMs > streamMs;
  }

  /** N5 */
  #isOfAnotherLevel(open: Opened): boolean {
    const { spec } = this.#local;
    if (spec === open.spec || open.pipeline === undefined) return false;
    const [before, now] = [open.spec, spec].map(({ labels }) => wantedAcknowledgement(labels).level);
    if (before === now) open.spec = spec;
    return before !== now;
  }

  #connect(
    route: Route,
    peers: readonly ProcessId[],
    journal: string,
    early: EarlyHooks | undefined,
  ): PeerPipeline {
    const { network } = this.#ports;
    const connect = (id: ProcessId, listener: PeerListener): PeerStream => {
      const at = route.members.findIndex((member) => equalProcessIds(member, id));
      return network.replicate({ id, endpoint: route.endpoints[at] ?? "" }, journal, listener);
    };
    return new PeerPipeline(peers, connect, early);
  }

  #commitsFor({ pipeline, active, unsynced }: Opened, registers: LabelSet): PeerCommits {
    const { spool, spec } = this.#local;
    const { clock, confirming, holders, metrics } = this.#ports;
    const { epoch, stream } = active.isMixed ? { epoch: 0, stream: 0 } : active;
    return new PeerCommits(
      {
        pipeline: pipeline!,
        clock,
        confirming,
        epoch,
        stream,
        keepsLists: (peer) => holders.keepsLists(peer),
        unsynced,
        seconds: metrics.replicationSeconds,
      },
      {
        journal: spool.life.journal,
        begin: spool.begin,
        codec: spec.fragment.compressionCodec,
        registers,
      },
    );
  }
}

/** Whether an append may be acknowledged by the members of the route (D15). */
function isEnough({ header, minReplicas }: Resolution): boolean {
  return header.route.members.length >= minReplicas;
}

function isInSync(answer: PeerAnswer): boolean {
  return answer.kind === "answered" && answer.status === "OK";
}
