// Reading a journal (section 5.2), with whoever serves it.
//
//  S1  Only acknowledged bytes are read (D9): indexes show no others.
//  S2  The stream of one broker ends without error when it no longer serves the journal; the caller's abort rejects.
//  S6  What one broker does not serve any more, another may: a read goes on with the next member from where it stood.
//  S7  A read that awaits the resume of a suspended journal costs no more than the wait: nobody serves the journal.
import { WireError, type Clock } from "@millrace/base";
import { mayRead, type Header, type ReadRequest, type ReadResponse, type Status } from "@millrace/protocol";
import type { CallMeter } from "./broker-metrics.ts";
import { eitherSignal } from "./either-signal.ts";
import { changeWithin } from "./gate-timeout.ts";
import type { JournalReplica } from "./journal-replica.ts";
import { REROUTE_MS } from "./limits.ts";
import type { PeerCalls } from "./peer-calls.ts";
import { ReadPlace } from "./read-place.ts";
import { mayMoveOn, readFromMembers } from "./read-proxy.ts";
import { Readout, type ReadoutPorts, type Responses } from "./readout.ts";
import type { Resolution } from "./resolver.ts";

export interface ReadPorts extends ReadoutPorts {
  readonly clock: Clock;
  readonly meter: CallMeter;
  /** To other brokers, when there may be some. */
  readonly calls: PeerCalls | undefined;
  /** Aborts when the broker stops. */
  readonly stopped: AbortSignal;
  resolve(request: ReadRequest, signal: AbortSignal): Resolution | Promise<Resolution>;
  /** Resolves when the journal is another one than was resolved. @throws {WireError} SHUTTING_DOWN */
  changed(resolution: Resolution, signal: AbortSignal): Promise<void>;
}

/** Of a read that was served, as Gazette's brokers count it: dashboards take what is not `ok` for a fault. */
const USUAL_ENDS: ReadonlySet<string> = new Set(["OFFSET_NOT_YET_AVAILABLE", "NOT_ALLOWED"]);
/** Before a read that nobody serves is resolved again, unless the keyspace changes sooner. */
const READ_PAUSE_MS = 100;

/** @throws {WireError} what the store throws; INVALID_ARGUMENT for a header that is not for this broker */
export async function* readJournal(ports: ReadPorts, request: ReadRequest, signal: AbortSignal): Responses {
  signal.throwIfAborted();
  ports.meter.start();
  let ended: string | WireError = "cancelled";
  const place = new ReadPlace(request);
  try {
    for await (const response of new ReadCall(ports, place).run(signal)) {
      ended = USUAL_ENDS.has(response.status) ? "OK" : response.status;
      yield place.seen(response);
    }
    if (ended === "cancelled") ended = "OK";
  } catch (error) {
    ended = signal.aborted ? "cancelled" : WireError.from(error);
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
      if (resolution.status === "SUSPENDED" && awaitsResume(this.#place.request)) {
        await this.#ports.changed(resolution, signal); // S7
        continue;
      }
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
    this.#ports.metrics.proxied.add(1, { operation: "Read" });
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

function awaitsResume({ block, awaitsResume: isWanted }: ReadRequest): boolean {
  return block && isWanted === true;
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

function refusal(status: Status, header: Header): ReadResponse {
  return { status, header, offset: 0, writeHead: 0, fragmentUrl: "" };
}
