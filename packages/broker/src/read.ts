// Reading a journal (section 5.2): metadata of a fragment, its content in chunks, metadata of the next one, and so
// on. Chunks are up to READ_CHUNK_BYTES, more than the protocol's 32736: doors that must send smaller ones cut them.
//
//  S1  Only acknowledged bytes are read (D9): the index shows no others.
//  S2  The stream ends without error when the journal is no longer served here; the caller's abort rejects.
//  S6  What one broker does not serve any more, another may: a read goes on with the next member from where it stood.
//  S3  Local bytes may be released under a reader: it then asks the index again, which knows where they went.
//  S4  What is not on this disk is looked for in the stores: a reader that comes before their first listing waits
//      for it, and is told when it does not come. Until nothing can be missing from listings, a hole at the journal's
//      begin is taken for one as anywhere else, not for what was pruned.
//  S5  Local bytes that rotted are refused, unless a store has the fragment too: then it is read from there.
import { WireError, type AbortScope, type Clock } from "@millrace/base";
import {
  queryIndex,
  readRemoteFragment,
  type FragmentEntry,
  type IndexAnswer,
  type RemoteEntry,
  type RemotePorts,
} from "@millrace/fragments";
import { mayRead, type Header, type ReadRequest, type ReadResponse, type Status } from "@millrace/protocol";
import type { BrokerMetrics, CallMeter } from "./broker-metrics.ts";
import { eitherSignal } from "./either-signal.ts";
import { changeWithin } from "./gate-timeout.ts";
import type { JournalReplica } from "./journal-replica.ts";
import { FIRST_REFRESH_WAIT_MS, READ_CHUNK_BYTES, REROUTE_MS } from "./limits.ts";
import { localFragment } from "./local-fragment.ts";
import type { PeerCalls } from "./peer-calls.ts";
import { ReadPlace } from "./read-place.ts";
import { mayMoveOn, readFromMembers } from "./read-proxy.ts";
import { signGet } from "./remote-url.ts";
import type { Resolution } from "./resolver.ts";

export interface ReadPorts {
  readonly clock: Clock;
  readonly remote: RemotePorts;
  readonly metrics: BrokerMetrics;
  readonly meter: CallMeter;
  /** To other brokers, when there may be some. */
  readonly calls: PeerCalls | undefined;
  /** Aborts when the broker stops. */
  readonly stopped: AbortSignal;
  resolve(request: ReadRequest, signal: AbortSignal): Resolution | Promise<Resolution>;
}

type Responses = AsyncGenerator<ReadResponse, void, undefined>;

const SIGNED_URL_TTL_MS = 60_000;
/** Before a read that nobody serves is resolved again, unless the keyspace changes sooner. */
const READ_PAUSE_MS = 100;

/** @throws {WireError} what the store throws; INVALID_ARGUMENT for a header that is not for this broker */
export async function* readJournal(ports: ReadPorts, request: ReadRequest, signal: AbortSignal): Responses {
  signal.throwIfAborted();
  ports.meter.start();
  let ended = "cancelled";
  const place = new ReadPlace(request);
  try {
    for await (const response of new ReadCall(ports, place).run(signal)) {
      ended = response.status;
      yield place.seen(response);
    }
    if (ended === "cancelled") ended = "OK";
  } catch (error) {
    ended = signal.aborted ? "cancelled" : WireError.from(error).code;
    throw error;
  } finally {
    ports.meter.end(ended);
  }
}

/** A read with whoever serves it, and when that one does not any more, with the next (S6). */
class ReadCall {
  readonly #ports: ReadPorts;
  readonly #place: ReadPlace;
  /** Since when nothing came although it was asked for. */
  #troubleMs: number | undefined;

  constructor(ports: ReadPorts, place: ReadPlace) {
    this.#ports = ports;
    this.#place = place;
  }

  async *run(signal: AbortSignal): Responses {
    const { clock, calls, stopped } = this.#ports;
    for (;;) {
      const resolution = await this.#resolve(signal);
      if (resolution === undefined) return;
      const refused = refusalOf(resolution);
      if (refused !== undefined) {
        if (this.#place.messages === 0) yield refused;
        return;
      }
      const before = this.#place.request.offset;
      const startedMs = clock.monotonicMs();
      let failure: WireError | undefined;
      try {
        yield* this.#serve(resolution, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (resolution.localReplica !== undefined || !mayMoveOn(error)) throw error;
        failure = WireError.from(error);
      }
      if (this.#place.isDone || calls === undefined || stopped.aborted) return;
      const hasServed = this.#place.request.offset !== before || clock.monotonicMs() - startedMs > REROUTE_MS;
      if (hasServed) this.#troubleMs = undefined;
      if (!(await this.#pause(calls, signal))) {
        if (failure !== undefined) throw failure;
        return;
      }
    }
  }

  /** @returns undefined when nobody tells any more who serves what has begun */
  async #resolve(signal: AbortSignal): Promise<Resolution | undefined> {
    try {
      return await this.#ports.resolve(this.#place.request, signal);
    } catch (error) {
      if (this.#place.messages === 0 || signal.aborted) throw error;
      return undefined;
    }
  }

  #serve(resolution: Resolution, signal: AbortSignal): Responses {
    const { header, localReplica } = resolution;
    if (localReplica !== undefined) {
      return readReplica(this.#ports, localReplica, this.#place.request, header, signal);
    }
    const { calls } = this.#ports;
    if (calls === undefined) {
      const { journal } = this.#place.request;
      throw new WireError("NOT_PRIMARY", `journal ${journal} is served by another broker`);
    }
    return readFromMembers(calls, this.#place, header, signal);
  }

  /** @returns false when it has waited for long enough */
  async #pause(calls: PeerCalls, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const isFirst = this.#troubleMs === undefined;
    this.#troubleMs ??= nowMs;
    if (isFirst) return true;
    if (nowMs - this.#troubleMs >= REROUTE_MS) return false;
    await changeWithin(calls.keyspaceChanged, READ_PAUSE_MS, clock, signal);
    return true;
  }
}

function refusalOf({ status, spec, header }: Resolution): ReadResponse | undefined {
  if (status !== "OK") return refusal(status, header);
  return mayRead(spec!) ? undefined : refusal("NOT_ALLOWED", header);
}

async function* readReplica(
  ports: ReadPorts,
  replica: JournalReplica,
  request: ReadRequest,
  header: Header,
  signal: AbortSignal,
): Responses {
  const scope = eitherSignal(signal, replica.closed);
  try {
    await replica.waitOpen(scope.signal);
    yield* new Readout(ports, replica, request, scope).run(header);
  } catch (error) {
    signal.throwIfAborted();
    if (!replica.closed.aborted) throw error; // S2
  } finally {
    scope.dispose();
  }
}

class Readout {
  readonly #ports: ReadPorts;
  readonly #replica: JournalReplica;
  readonly #request: ReadRequest;
  readonly #scope: AbortScope;
  #offset: number;

  constructor(ports: ReadPorts, replica: JournalReplica, request: ReadRequest, scope: AbortScope) {
    this.#ports = ports;
    this.#replica = replica;
    this.#request = request;
    this.#scope = scope;
    this.#offset = request.offset;
  }

  async *run(header: Header): Responses {
    const { metadataOnly, endOffset, doNotProxy } = this.#request;
    let first: { readonly header?: Header } = { header };
    for (;;) {
      const answer = await this.#query();
      const { offset, writeHead } = answer;
      this.#offset = offset;
      if (answer.kind === "not-yet") {
        yield { status: "OFFSET_NOT_YET_AVAILABLE", ...first, offset, writeHead, fragmentUrl: "" };
        return;
      }
      const { entry } = answer;
      const isRemote = entry.kind === "remote";
      const fragment = isRemote ? entry.fragment : localFragment(this.#replica, entry);
      const fragmentUrl = isRemote ? await signGet(this.#ports.remote, fragment, SIGNED_URL_TTL_MS) : "";
      yield { status: "OK", ...first, offset, writeHead, fragment, fragmentUrl };
      first = {};
      const isEnough = metadataOnly || (isRemote && doNotProxy) || (endOffset !== 0 && offset >= endOffset);
      if (isEnough) return;
      yield* this.#content(entry);
      if (endOffset !== 0 && this.#offset >= endOffset) return;
    }
  }

  /** Waits, when the request says so, until there is something at the offset. */
  async #query(): Promise<IndexAnswer> {
    const { index, spool } = this.#replica;
    const { clock } = this.#ports;
    const { beginModTime, block } = this.#request;
    const { signal } = this.#scope;
    const listedByMs = clock.monotonicMs() + FIRST_REFRESH_WAIT_MS;
    let isFresh = false;
    for (;;) {
      const wanted = { offset: this.#offset, beginModTime, head: spool.end };
      const answer = queryIndex(index, wanted, clock.wallMs());
      if (answer.kind === "found") return answer;
      const listingMs = index.isRefreshed ? 0 : listedByMs - clock.monotonicMs();
      if (listingMs > 0) {
        // S4
        await changeWithin(index.changed, listingMs, clock, signal);
        continue;
      }
      if (!block) {
        // Spools tell of growth once a batch: what looks like a hole may be news.
        if (!isFresh && answer.offset < spool.end) {
          isFresh = true;
          this.#replica.local.refreshLocal();
          continue;
        }
        const isUnknown = answer.offset < answer.writeHead || answer.writeHead === 0;
        if (!index.isRefreshed && isUnknown) throw this.#notListed(answer);
        return answer;
      }
      // Whoever asked for the head waits where it was when he came.
      this.#offset = answer.offset;
      if (answer.jumpAtMs === undefined) await index.changed.next(signal);
      else await changeWithin(index.changed, answer.jumpAtMs - clock.wallMs(), clock, signal);
    }
  }

  #notListed({ offset, writeHead }: IndexAnswer): WireError {
    const { journal } = this.#replica;
    const message = `offset ${offset} of ${journal} is not on this disk, and its stores could not be listed yet`;
    return new WireError("UNAVAILABLE", message, { facts: { journal, offset, writeHead } });
  }

  /** Content up to the fragment's end as it was asked for, or less when it moved meanwhile. */
  async *#content(entry: FragmentEntry): Responses {
    const { endOffset } = this.#request;
    const end = endOffset === 0 ? entry.end : Math.min(entry.end, endOffset);
    if (entry.kind === "remote" && this.#replica.index.localAt(this.#offset) === undefined) {
      return yield* this.#remoteContent(entry, end);
    }
    try {
      yield* this.#localContent(end);
    } catch (error) {
      const stored = error instanceof WireError && error.code === "CORRUPT" ? this.#stored() : undefined;
      if (stored === undefined) throw error;
      yield* this.#remoteContent(stored, Math.min(end, stored.end)); // S5
    }
  }

  /** The fragment of a store that holds the offset. */
  #stored(): RemoteEntry | undefined {
    const { index } = this.#replica;
    const { index: at, found } = index.find(this.#offset);
    const entry = found ? index.at(at) : undefined;
    return entry?.kind === "remote" ? entry : undefined;
  }

  /** Reads one chunk ahead, so that disk and consumer work at the same time. */
  async *#localContent(end: number): Responses {
    const { signal } = this.#scope;
    let ahead = this.#readLocal(this.#offset, end);
    while (this.#offset < end) {
      const content = await ahead;
      signal.throwIfAborted();
      if (content === undefined) return;
      ahead = this.#readLocal(this.#offset + content.length, end);
      // Whoever stops reading never asks for it.
      ahead.catch(() => undefined);
      yield this.#chunk(content);
    }
  }

  /** @returns undefined at `end`, or when the bytes are no longer here (S3) */
  async #readLocal(offset: number, end: number): Promise<Uint8Array | undefined> {
    if (offset >= end) return undefined;
    const bytes = Math.min(READ_CHUNK_BYTES, end - offset);
    try {
      return await this.#replica.spool.read(offset, bytes, this.#scope.signal);
    } catch (error) {
      if (!(error instanceof WireError) || error.code !== "NOT_FOUND") throw error;
      this.#replica.local.refreshLocal();
      return undefined;
    }
  }

  async *#remoteContent(entry: RemoteEntry, end: number): Responses {
    const { signal } = this.#scope;
    for await (const part of readRemoteFragment(this.#ports.remote, entry.fragment, this.#offset, signal)) {
      const content = part.subarray(0, end - this.#offset);
      for (let at = 0; at < content.length; at += READ_CHUNK_BYTES) {
        yield this.#chunk(content.subarray(at, at + READ_CHUNK_BYTES));
      }
      if (this.#offset >= end) return;
    }
  }

  #chunk(content: Uint8Array): ReadResponse {
    const offset = this.#offset;
    this.#offset += content.length;
    this.#ports.metrics.readBytes.add(content.length);
    return { status: "OK", offset, writeHead: 0, fragmentUrl: "", content };
  }
}

function refusal(status: Status, header: Header): ReadResponse {
  return { status, header, offset: 0, writeHead: 0, fragmentUrl: "" };
}
