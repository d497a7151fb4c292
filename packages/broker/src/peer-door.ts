// What other brokers may do with this one's bytes: the server side of peer-network.ts. Doors and simulated networks
// call it; whether the caller is a broker at all is theirs to know.
//
//  D1  Nothing is answered for another cluster, another process, or another life of the journal.
//  D2  A request waits until this broker has seen what it was made at.
//  D3  A primary that the keyspace has replaced is given some time to end by itself, then its stream ends (D12); one
//      that is no member any more ends at once.
//  D5  What a list says is held is fenced. Who was assigned the journal, and has been brought to nothing yet, holds
//      nothing, also where a list names it: an older one, that came back with a backup of etcd.
import { WireError, type Clock } from "@millrace/base";
import { brokerName } from "./journal-table.ts";
import type { FetchRequest, HoldAnswer, HolderCalls, HoldRequest } from "./peer-network.ts";
import {
  equalProcessIds,
  equivalentRoutes,
  extendedLabels,
  matchesSelector,
  newReplicateResponse,
  withNamePrefixes,
  type Header,
  type LabelSelector,
  type Route,
} from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import type { CallMeter, SpoolCounts } from "./broker-metrics.ts";
import { voided } from "./holders-list.ts";
import type { HoldersStore } from "./holders-store.ts";
import type { JournalHolder, JournalView } from "./journal-holder.ts";
import { REPLICATION_GRACE_MS } from "./limits.ts";
import type { LocalJournal, LocalJournals } from "./local-journal.ts";
import type { PeerListener, PeerStream } from "./peer-pipeline.ts";
import { ReplicateStream, type ReplicateStreamPorts, type StreamResolution } from "./replicate-stream.ts";
import type { Resolver } from "./resolver.ts";

/** The server side of {@link PeerNetwork}. What is thrown is a WireError. */
export interface PeerDoor extends HolderCalls {
  /** A Replicate stream of a primary; `listener` is not called before this has returned. */
  replicate(listener: PeerListener): PeerStream;
}

export interface PeerDoorPorts {
  readonly keyspace: BrokerKeyspace;
  readonly resolver: Resolver;
  readonly journals: LocalJournals;
  readonly lists: HoldersStore;
  readonly clock: Clock;
  /** Of Replicate. */
  readonly meter: CallMeter;
  readonly counts: SpoolCounts;
}

/** A journal as the keyspace has it. @param revision that was waited for */
export function journalView(
  { keyspace, resolver }: Pick<PeerDoorPorts, "keyspace" | "resolver">,
  journal: string,
  revision: number,
): JournalView {
  const header = resolver.header();
  const { zone, suffix } = header.processId;
  const own = keyspace.table
    .assignments(journal)
    .find(({ member }) => member.zone === zone && member.suffix === suffix);
  const seen = header.etcd.revision;
  return {
    revision: keyspace.holds(revision) ? Math.max(seen, revision) : seen,
    header: { ...header, route: resolver.routeOf(journal) },
    joined: own?.since ?? 0,
  };
}

export class LocalPeerDoor implements PeerDoor {
  readonly #ports: PeerDoorPorts;
  readonly #streams = new Map<string, Set<ReplicateStream>>();
  readonly #all = new Set<ReplicateStream>();
  readonly #routes = new Map<string, Route>();
  #isClosed = false;

  constructor(ports: PeerDoorPorts) {
    this.#ports = ports;
    for (const journal of ports.keyspace.table.assigned()) this.#onChange(journal);
    ports.keyspace.onUpdate((changed) => {
      for (const journal of changed) this.#onChange(journal);
    });
  }

  replicate(listener: PeerListener): PeerStream {
    return this.#replicate(listener, undefined);
  }

  hold(request: HoldRequest, signal: AbortSignal): Promise<HoldAnswer> {
    return this.#hold(request, undefined, signal);
  }

  fetch(request: FetchRequest, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#fetch(request, undefined, signal);
  }

  async digest(request: FetchRequest, signal: AbortSignal): Promise<string> {
    return (await this.#holderOf(request, undefined)).digest(request, signal);
  }

  /** For a caller for whom only some journals exist: Gazette's brokers sign for one at a time. */
  visibleTo(selector: LabelSelector): PeerDoor {
    const visible = withNamePrefixes(selector);
    return {
      replicate: (listener) => this.#replicate(listener, visible),
      hold: (request, signal) => this.#hold(request, visible, signal),
      fetch: (request, signal) => this.#fetch(request, visible, signal),
      digest: async (request, signal) => (await this.#holderOf(request, visible)).digest(request, signal),
    };
  }

  /** Ends every stream. */
  close(): void {
    this.#isClosed = true;
    for (const stream of [...this.#all]) stream.evict(stopping());
  }

  #replicate(listener: PeerListener, visible: LabelSelector | undefined): PeerStream {
    const ports: ReplicateStreamPorts = {
      resolve: (journal, header, signal) => this.#resolveStream(journal, header, visible, signal),
      markVoid: (journal, confirmed, signal) => this.#markVoid(journal, confirmed, signal),
      headerOf: (journal) => this.#view(journal, 0).header,
      opened: (stream) => this.#onOpened(stream),
      counts: this.#ports.counts,
      over: (stream, end) => {
        this.#onOver(stream);
        this.#ports.meter.end(end);
      },
    };
    this.#ports.meter.start();
    const opened = new ReplicateStream(ports, listener);
    this.#all.add(opened);
    if (this.#isClosed) queueMicrotask(() => opened.evict(stopping()));
    return opened;
  }

  async #hold(
    request: HoldRequest,
    visible: LabelSelector | undefined,
    signal: AbortSignal,
  ): Promise<HoldAnswer> {
    const { journal, header, epoch } = request;
    await this.#ports.resolver.readThrough(header, epoch, signal); // D1, D2
    const known = this.#withSource(request);
    const local = await this.#localOf(request, visible, epoch, request.wants !== "fence");
    const holder = local?.holder;
    // D5
    if (holder === undefined || (request.wants === "fence" && !holder.isHolder))
      return { kind: "refused", why: "not-held", header: this.#view(journal, epoch).header };
    return holder.hold(known, signal);
  }

  /** The source where this broker knows it to be, not where somebody says: D4. */
  #withSource(request: HoldRequest): HoldRequest {
    if (!("source" in request) || request.source === undefined) return request;
    const { id } = request.source;
    const member = this.#ports.keyspace.table.member(id);
    if (member !== undefined) return { ...request, source: { id, endpoint: member.spec.endpoint } };
    throw new WireError("UNAVAILABLE", `broker ${brokerName(id)}, the source, is not known here`);
  }

  async *#fetch(
    request: FetchRequest,
    visible: LabelSelector | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const holder = await this.#holderOf(request, visible);
    yield* holder.fetch(request, signal);
  }

  async #holderOf(request: FetchRequest, visible: LabelSelector | undefined): Promise<JournalHolder> {
    const { journal, createRevision } = request;
    const local = await this.#localOf(request, visible, 0, false);
    if (local?.holder !== undefined) return local.holder;
    throw new WireError("NOT_FOUND", `nothing is here of journal ${journal} of revision ${createRevision}`, {
      facts: { journal, createRevision },
    });
  }

  /**
   * What is here of a life of a journal, assigned or not.
   * @param isWanted whether an empty one is made when there is none
   * @returns undefined when there is none, or the journal is another one now
   */
  async #localOf(
    life: { readonly journal: string; readonly createRevision: number },
    visible: LabelSelector | undefined,
    epoch: number,
    isWanted: boolean,
  ): Promise<LocalJournal | undefined> {
    const { journals, keyspace, resolver } = this.#ports;
    const { journal, createRevision } = life;
    if (resolver.stopped.aborted) throw stopping();
    const item = keyspace.table.item(journal);
    if (item?.createRevision !== createRevision) return undefined; // D1
    const { name, labels } = item.spec;
    if (visible !== undefined && !matchesSelector(visible, extendedLabels(name, labels))) return undefined;
    const known = journals.get(life);
    if (known !== undefined) return known;
    const found = journals.found(life);
    if (found === undefined && !isWanted) return undefined;
    return journals.openOnce({ journal, createRevision, epoch: found?.epoch ?? epoch }, item.spec);
  }

  #view(journal: string, revision: number): JournalView {
    return journalView(this.#ports, journal, revision);
  }

  async #resolveStream(
    journal: string,
    header: Header,
    visible: LabelSelector | undefined,
    signal: AbortSignal,
  ): Promise<StreamResolution> {
    const { keyspace, resolver } = this.#ports;
    await resolver.readThrough(header, 0, signal);
    const options = { authority: "member", mayProxy: false, visible } as const;
    const resolution = resolver.resolve(journal, options);
    const { status, localReplica } = resolution;
    const refused = (response: ReturnType<typeof newReplicateResponse>): StreamResolution => ({
      kind: "refused",
      response,
    });
    if (status !== "OK" || localReplica === undefined)
      return refused(newReplicateResponse({ status, header: resolution.header }));
    const { route } = resolution.header;
    if (!equivalentRoutes(route, header.route))
      return refused(newReplicateResponse({ status: "WRONG_ROUTE", header: resolution.header }));
    await localReplica.waitOpen(signal);
    const { local } = localReplica;
    if (local.holder === undefined)
      throw new WireError("UNAVAILABLE", "this broker does not replicate journals");
    const keeps = route.members.map((member) => (keyspace.table.member(member)?.spec.holder ?? "") !== "");
    return {
      kind: "local",
      local,
      holder: local.holder,
      header: resolution.header,
      isConfirming: keeps[route.primary] ?? false,
      isMixed: keeps.includes(false),
    };
  }

  /** D15: before a member of a route with a broker that keeps no lists answers for the first time. */
  async #markVoid(journal: string, confirmed: number, signal: AbortSignal): Promise<void> {
    const { keyspace, lists } = this.#ports;
    for (;;) {
      signal.throwIfAborted();
      const item = keyspace.table.item(journal);
      if (item === undefined) throw new WireError("NOT_FOUND", `journal ${journal} was deleted`);
      const { createRevision } = item;
      const { list, listRevision } = await lists.read(journal, createRevision, signal);
      if (list?.tail.kind === "void") return;
      const assignments = keyspace.table.assignments(journal);
      const known = { journal, createRevision, itemKey: item.key, assignments };
      const outcome = await lists.write(known, voided(list, confirmed), listRevision, signal);
      if (outcome.kind === "done") return;
      // Somebody else wrote it, or the assignments: what is known of them is waited for.
      if (outcome.kind === "conflict") await keyspace.waitForRevision(outcome.revision, signal);
    }
  }

  #onOpened(stream: ReplicateStream): void {
    const { journal } = stream;
    const known = this.#streams.get(journal);
    if (known === undefined) this.#streams.set(journal, new Set([stream]));
    else known.add(stream);
  }

  #onOver(stream: ReplicateStream): void {
    this.#all.delete(stream);
    const { journal } = stream;
    const known = this.#streams.get(journal);
    known?.delete(stream);
    if (known?.size === 0) this.#streams.delete(journal);
  }

  #onChange(journal: string): void {
    const { journals, keyspace, resolver, clock } = this.#ports;
    const item = keyspace.table.item(journal);
    const before = this.#routes.get(journal);
    const route = resolver.routeOf(journal);
    if (item === undefined) this.#routes.delete(journal);
    else this.#routes.set(journal, route);
    const local = item && journals.get({ journal, createRevision: item.createRevision });
    if (before === undefined || equivalentRoutes(before, route)) return;
    local?.holder?.routeSeen(keyspace.header.revision);
    const streams = this.#streams.get(journal);
    if (streams === undefined) return;
    for (const stream of streams)
      if (!isOn(stream, route) && !hasPrimary(stream, route)) stream.evict(changed(journal));
    if (streams.size > 0) clock.after(REPLICATION_GRACE_MS, () => this.#evictOld(journal)); // D3
  }

  #evictOld(journal: string): void {
    const route = this.#ports.resolver.routeOf(journal);
    for (const stream of this.#streams.get(journal) ?? [])
      if (!isOn(stream, route)) stream.evict(changed(journal));
  }
}

function isOn({ route }: ReplicateStream, now: Route): boolean {
  return route !== undefined && equivalentRoutes(route, now);
}

function hasPrimary({ route }: ReplicateStream, { members }: Route): boolean {
  const primary = route?.members[route.primary];
  return primary !== undefined && members.some((member) => equalProcessIds(member, primary));
}

function changed(journal: string): WireError {
  return new WireError("UNAVAILABLE", `journal ${journal} has changed hands`, { facts: { journal } });
}

function stopping(): WireError {
  return new WireError("SHUTTING_DOWN", "the broker is stopping");
}
