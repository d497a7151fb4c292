// The in-process transport: what doors and the rest of the platform call.
import { WireError, type Clock } from "@millrace/base";
import type { AppendContent, JournalTransport } from "@millrace/client";
import type { Spools } from "@millrace/fragments";
import type { Compare, CoordinationStore, StoreOp } from "@millrace/metadata";
import {
  encodeJournalSpec,
  encodeRoute,
  equivalentRoutes,
  stripMeta,
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
  type Suspend,
} from "@millrace/protocol";
import { AppendCall, type AppendPorts } from "./append-call.ts";
import { applyJournals } from "./apply.ts";
import { AutoCreator, type AutoCreateRule } from "./auto-create.ts";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { changeWithin } from "./gate-timeout.ts";
import { ASSIGNMENT_WAIT_MS } from "./limits.ts";
import { Lister } from "./list.ts";
import { listFragments } from "./list-fragments.ts";
import { readJournal, type ReadPorts } from "./read.ts";
import type { Resolution, ResolveOptions, Resolver } from "./resolver.ts";

export interface LocalTransportPorts {
  readonly coordination: CoordinationStore;
  readonly spools: Spools;
  readonly clock: Clock;
  readonly keyspace: BrokerKeyspace;
  readonly resolver: Resolver;
  readonly autoCreate: readonly AutoCreateRule[];
  /** Aborts when the broker stops. */
  readonly stopping: AbortSignal;
}

const APPEND_PROXIED: Omit<ResolveOptions, "visible"> = { authority: "primary", mayProxy: true };
const APPEND_HERE: Omit<ResolveOptions, "visible"> = { authority: "primary", mayProxy: false };

export class LocalTransport implements JournalTransport {
  readonly #ports: LocalTransportPorts;
  readonly #visible: LabelSelector | undefined;
  readonly #lister: Lister;
  readonly #appends: AppendPorts;
  readonly #reads: ReadPorts;
  readonly #creator: AutoCreator;

  /** @param visible journals outside are not found; undefined = all */
  constructor(ports: LocalTransportPorts, visible: LabelSelector | undefined) {
    this.#ports = ports;
    this.#visible = visible;
    this.#lister = new Lister(ports.keyspace, ports.resolver);
    this.#creator = new AutoCreator(ports.autoCreate, (spec) =>
      applyJournals(
        ports,
        { changes: [{ expectModRevision: 0, upsert: spec, delete: "" }] },
        visible,
        ports.stopping,
      ),
    );
    this.#appends = {
      spools: ports.spools,
      clock: ports.clock,
      resolve: (request, minRevision, signal) => this.#resolveAppend(request, minRevision, signal),
      updateAssignments: (resolution, signal) => this.#updateAssignments(resolution, signal),
      updateSuspend: (resolution, suspend, signal) => this.#updateSuspend(resolution, suspend, signal),
    };
    this.#reads = {
      clock: ports.clock,
      remote: {
        read: () => {
          throw new WireError("UNAVAILABLE", "remote fragments are not readable yet");
        },
        signGet: () => Promise.resolve(""),
      },
      resolve: (request, signal) => this.#resolveMember(request, request.minEtcdRevision, signal),
    };
  }

  append(request: AppendPreamble, content: AppendContent, signal: AbortSignal): Promise<AppendResponse> {
    return AppendCall.run(this.#appends, request, content, signal);
  }

  read(request: ReadRequest, signal: AbortSignal): AsyncIterable<ReadResponse> {
    return readJournal(this.#reads, request, signal);
  }

  list(request: ListRequest, _signal: AbortSignal): Promise<ListResponse> {
    return Promise.resolve(this.#lister.snapshot(request, this.#visible));
  }

  watchList(request: ListRequest, signal: AbortSignal): AsyncIterable<ListResponse> {
    return this.#lister.watch(request, this.#visible, signal);
  }

  apply(request: ApplyRequest, signal: AbortSignal): Promise<ApplyResponse> {
    return applyJournals(this.#ports, request, this.#visible, signal);
  }

  async listFragments(request: FragmentsRequest, signal: AbortSignal): Promise<FragmentsResponse> {
    const resolution = await this.#resolveMember(request, 0, signal);
    return listFragments(this.#reads.remote, resolution, request, signal);
  }

  #resolveAppend(
    request: AppendPreamble,
    minRevision: number,
    signal: AbortSignal,
  ): Resolution | Promise<Resolution> {
    const { keyspace } = this.#ports;
    if (request.header !== undefined || !keyspace.holds(minRevision)) {
      return this.#readThrough(request.header, minRevision, signal).then(() =>
        this.#resolveAppendNow(request, signal),
      );
    }
    return this.#resolveAppendNow(request, signal);
  }

  #resolveAppendNow(request: AppendPreamble, signal: AbortSignal): Resolution | Promise<Resolution> {
    const options = { ...(request.doNotProxy ? APPEND_HERE : APPEND_PROXIED), visible: this.#visible };
    const journal = stripMeta(request.journal);
    const resolution = this.#ports.resolver.resolve(journal, options);
    switch (resolution.status) {
      case "JOURNAL_NOT_FOUND":
        if (!this.#creator.wants(journal)) return resolution;
        return this.#creator
          .ensure(journal)
          .then((revision) => this.#ports.keyspace.waitForRevision(revision, signal))
          .then(() => this.#awaitPrimary(journal, options, signal));
      case "NO_JOURNAL_PRIMARY_BROKER":
      case "INSUFFICIENT_JOURNAL_BROKERS":
        return this.#awaitPrimary(journal, options, signal);
      default:
        return resolution;
    }
  }

  /** A journal that was just made or resumed gets its primary in a moment. */
  async #awaitPrimary(journal: string, options: ResolveOptions, signal: AbortSignal): Promise<Resolution> {
    const { clock, keyspace, resolver } = this.#ports;
    const untilMs = clock.monotonicMs() + ASSIGNMENT_WAIT_MS;
    for (;;) {
      const resolution = resolver.resolve(journal, options);
      const { status } = resolution;
      const isWaiting = status === "NO_JOURNAL_PRIMARY_BROKER" || status === "INSUFFICIENT_JOURNAL_BROKERS";
      const leftMs = untilMs - clock.monotonicMs();
      if (!isWaiting || leftMs <= 0) return resolution;
      await changeWithin(keyspace.changed, leftMs, clock, signal);
    }
  }

  #resolveMember(
    request: { readonly journal: string; readonly header?: Header; readonly doNotProxy: boolean },
    minRevision: number,
    signal: AbortSignal,
  ): Resolution | Promise<Resolution> {
    const { keyspace, resolver } = this.#ports;
    const now = (): Resolution =>
      resolver.resolve(stripMeta(request.journal), {
        authority: "member",
        mayProxy: !request.doNotProxy,
        visible: this.#visible,
      });
    if (request.header === undefined && keyspace.holds(minRevision)) return now();
    return this.#readThrough(request.header, minRevision, signal).then(now);
  }

  async #readThrough(header: Header | undefined, minRevision: number, signal: AbortSignal): Promise<void> {
    const { keyspace, resolver } = this.#ports;
    if (header !== undefined) resolver.checkHeader(header);
    await keyspace.waitForRevision(Math.max(minRevision, header?.etcd.revision ?? 0), signal);
  }

  /** Writes the resolved route to the assignments that store another one. */
  async #updateAssignments(resolution: Resolution, signal: AbortSignal): Promise<number> {
    const { assignments, header } = resolution;
    const value = encodeRoute({ ...header.route, endpoints: [] });
    const compare: Compare[] = assignments.map(({ key, modRevision }) => ({
      target: "mod",
      key,
      op: "=",
      revision: modRevision,
    }));
    const success: StoreOp[] = assignments
      .filter(({ route }) => !equivalentRoutes(route, header.route))
      .map(({ key }) => ({ kind: "put", key, value, ignoreLease: true }));
    const answer = await this.#ports.coordination.txn({ compare, success }, signal);
    return answer.succeeded ? answer.header.revision : 0;
  }

  async #updateSuspend(resolution: Resolution, suspend: Suspend, signal: AbortSignal): Promise<number> {
    const { item, assignments } = resolution;
    if (item === undefined) throw new WireError("INTERNAL", "a suspension concerns a journal that exists");
    const mods = [item, ...assignments];
    const compare: Compare[] = mods.map(({ key, modRevision }) => ({
      target: "mod",
      key,
      op: "=",
      revision: modRevision,
    }));
    const value = encodeJournalSpec({ ...item.spec, suspend });
    const answer = await this.#ports.coordination.txn(
      { compare, success: [{ kind: "put", key: item.key, value }] },
      signal,
    );
    return answer.succeeded ? answer.header.revision : 0;
  }
}
