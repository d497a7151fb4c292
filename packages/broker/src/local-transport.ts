// The in-process transport: what doors and the rest of the platform call.
import type { Clock, Logger } from "@millrace/base";
import type { AppendContent, JournalTransport } from "@millrace/client";
import type { RemotePorts, Spools } from "@millrace/fragments";
import { SharedTxns, type CoordinationStore } from "@millrace/metadata";
import {
  stripMeta,
  validateAppendRequest,
  validateApplyRequest,
  validateFragmentsRequest,
  validateJournalName,
  validateListRequest,
  validateReadRequest,
  withNamePrefixes,
  type AppendPreamble,
  type AppendResponse,
  type ApplyRequest,
  type ApplyResponse,
  type FragmentsRequest,
  type FragmentsResponse,
  type Header,
  type LabelSelector,
  type ListRequest,
  type ListResponse,
  type ReadRequest,
  type ReadResponse,
} from "@millrace/protocol";
import { AppendCall } from "./append-call.ts";
import type { AppendCaller, AppendPorts, Lifetime, RunningAppend } from "./append-ports.ts";
import type { AppendFeed } from "./append-feed.ts";
import { AppendResolver } from "./append-resolver.ts";
import { applyJournals } from "./apply.ts";
import type { AutoCreateRule } from "./auto-create.ts";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { CallMeter, metered, type BrokerMetrics } from "./broker-metrics.ts";
import { Lister } from "./list.ts";
import { listFragments } from "./list-fragments.ts";
import { readJournal, type ReadPorts } from "./read.ts";
import type { Elsewhere } from "./read-elsewhere.ts";
import type { ReadHands } from "./read-hands.ts";
import { fragmentsOfMembers } from "./read-proxy.ts";
import type { PeerCalls } from "./peer-calls.ts";
import { updateAssignments, updateSuspend } from "./replica-transactions.ts";
import type { Resolution, Resolver } from "./resolver.ts";
import { isPassing, whenServed } from "./served-resolution.ts";

export interface LocalTransportPorts {
  readonly coordination: CoordinationStore;
  readonly spools: Spools;
  readonly remote: RemotePorts;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly keyspace: BrokerKeyspace;
  readonly resolver: Resolver;
  readonly metrics: BrokerMetrics;
  readonly hands: ReadHands;
  readonly autoCreate: readonly AutoCreateRule[];
  /** To other brokers, when there may be some. */
  readonly calls: PeerCalls | undefined;
  /** Whoever has what this broker lacks. */
  readonly elsewhere: Elsewhere | undefined;
  /** Aborts when the broker stops. */
  readonly stopping: AbortSignal;
}

/** What doors call besides: appends without a promise. */
export interface AppendDoor {
  /** @param request valid, but for a journal "", which is not found */
  startAppend(
    request: AppendPreamble,
    feed: AppendFeed,
    lifetime: Lifetime,
    caller: AppendCaller,
  ): RunningAppend;
}

export class LocalTransport implements JournalTransport, AppendDoor {
  readonly #ports: LocalTransportPorts;
  readonly #visible: LabelSelector | undefined;
  readonly #lister: Lister;
  readonly #appends: AppendPorts;
  readonly #reads: ReadPorts;
  readonly #meters: Readonly<Record<"list" | "apply" | "fragments", CallMeter>>;

  /** @param visible journals outside are not found; undefined = all */
  constructor(ports: LocalTransportPorts, visible: LabelSelector | undefined) {
    const { calls, clock, coordination, metrics, remote, spools } = ports;
    this.#ports = ports;
    this.#visible = visible === undefined ? undefined : withNamePrefixes(visible);
    this.#lister = new Lister(ports.keyspace, ports.resolver);
    const resolver = new AppendResolver(ports, this.#visible);
    const txns = new SharedTxns(coordination);
    this.#appends = {
      spools,
      clock,
      metrics,
      meter: new CallMeter(metrics, clock, "Append"),
      proxy: calls === undefined ? undefined : { clock, calls },
      resolve: (request, minRevision, lifetime) => resolver.resolve(request, minRevision, lifetime),
      changed: (resolution, signal) => ports.resolver.changed(resolution, signal),
      updateAssignments: (resolution, signal) => updateAssignments(txns, resolution, signal),
      updateSuspend: (resolution, suspend, signal) => updateSuspend(txns, resolution, suspend, signal),
    };
    this.#reads = {
      clock,
      metrics,
      remote,
      hands: ports.hands,
      meter: new CallMeter(metrics, clock, "Read"),
      calls,
      elsewhere: ports.elsewhere,
      stopped: ports.resolver.stopped,
      resolve: (request, signal) => this.#resolveMember(request, request.minEtcdRevision, signal),
      changed: (resolution, signal) => ports.resolver.changed(resolution, signal),
    };
    this.#meters = {
      list: new CallMeter(metrics, clock, "List"),
      apply: new CallMeter(metrics, clock, "Apply"),
      fragments: new CallMeter(metrics, clock, "ListFragments"),
    };
  }

  append(request: AppendPreamble, content: AppendContent, signal: AbortSignal): Promise<AppendResponse> {
    try {
      this.#validateAppend(request);
    } catch (error) {
      return Promise.reject(error);
    }
    return AppendCall.run(this.#appends, request, content, signal);
  }

  startAppend(
    request: AppendPreamble,
    feed: AppendFeed,
    lifetime: Lifetime,
    caller: AppendCaller,
  ): RunningAppend {
    return AppendCall.start(this.#appends, request, feed, lifetime, caller);
  }

  async *read(request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadResponse> {
    validateReadRequest(request);
    yield* readJournal(this.#reads, request, signal);
  }

  list(request: ListRequest, signal: AbortSignal): Promise<ListResponse> {
    return metered(this.#meters.list, () => {
      validateListRequest(request);
      signal.throwIfAborted();
      return this.#lister.snapshot(request, this.#visible);
    });
  }

  async *watchList(request: ListRequest, signal: AbortSignal): AsyncGenerator<ListResponse> {
    validateListRequest(request);
    yield* this.#lister.watch(request, this.#visible, signal);
  }

  apply(request: ApplyRequest, signal: AbortSignal): Promise<ApplyResponse> {
    return metered(this.#meters.apply, () => {
      validateApplyRequest(request);
      return applyJournals(this.#ports, request, this.#visible, signal);
    });
  }

  listFragments(request: FragmentsRequest, signal: AbortSignal): Promise<FragmentsResponse> {
    return metered(this.#meters.fragments, async () => {
      validateFragmentsRequest(request);
      const resolution = await this.#resolveMember(request, 0, signal);
      const { calls, remote } = this.#ports;
      if (isElsewhere(resolution) && calls !== undefined) {
        this.#ports.metrics.proxied.add(1, { operation: "ListFragments" });
        return fragmentsOfMembers(calls, resolution.header, request, signal);
      }
      return listFragments(remote, resolution, request, signal);
    });
  }

  /** The name of a journal that exists is valid: a small append need not prove it each time. */
  #validateAppend(request: AppendPreamble): void {
    const { header, checkRegisters, unionRegisters, subtractRegisters, offset, journal } = request;
    const isPlain = !header && !checkRegisters && !unionRegisters && !subtractRegisters && offset === 0;
    if (isPlain && this.#ports.keyspace.table.item(journal) !== undefined) return;
    // Without a name a message would pass for a chunk.
    if (journal === "") validateJournalName(journal);
    validateAppendRequest(request);
  }

  #resolveMember(
    request: { readonly journal: string; readonly header?: Header; readonly doNotProxy: boolean },
    minRevision: number,
    signal: AbortSignal,
  ): Resolution | Promise<Resolution> {
    const { resolver } = this.#ports;
    const options = { authority: "member", mayProxy: !request.doNotProxy, visible: this.#visible } as const;
    const now = (): Resolution => resolver.resolve(stripMeta(request.journal), options);
    const served = (): Promise<Resolution> => whenServed(this.#ports, now, signal);
    const through = resolver.readThrough(request.header, minRevision, signal);
    if (through !== undefined) return through.then(served);
    const resolution = now();
    return isPassing(resolution.status) ? served() : resolution;
  }
}

/** It can be served, and not here. */
function isElsewhere({ status, localReplica }: Resolution): boolean {
  return status === "OK" && localReplica === undefined;
}
