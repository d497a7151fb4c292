// A network between brokers of one test, whose wires the test cuts, slows and breaks (cluster-testkit.ts has the
// brokers). Time is the clock's; without a delay a message arrives in the next microtask.
//
//  W1  A wire keeps the order of what goes over it in its direction. While it is cut, what is sent waits until it is
//      healed, as TCP sends again; nothing is lost and nothing comes twice.
//  W2  A broker that is gone refuses connections; calls and streams that it had break. Whoever was connected hears of
//      it at once, others when they try.
//  W3  A call that could not be made was certainly not seen; one that broke may have been.
import { assert, WireError, type Clock, never } from "@millrace/base";
import type { AppendContent } from "@millrace/client";
import type { ProcessId } from "@millrace/protocol";
import { memberName } from "./journal-table.ts";
import {
  unseenByPeer,
  type HolderCalls,
  type Peer,
  type PeerNetwork,
  type ProxiedCalls,
} from "./peer-network.ts";
import type { PeerListener, PeerStream } from "./peer-pipeline.ts";

/** What other brokers reach of one. */
export interface ServedBroker {
  readonly transport: ProxiedCalls;
  readonly peers?: HolderCalls & { replicate(listener: PeerListener): PeerStream };
}

/** One direction between two brokers. */
class Wire {
  delayMs = 0;
  #isCut = false;
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  send(deliver: () => void): void {
    if (this.#isCut || this.#waiting.length > 0) this.#waiting.push(deliver);
    else this.#deliver(deliver);
  }

  pass(): Promise<void> {
    return new Promise((passed) => this.send(passed));
  }

  cut(): void {
    this.#isCut = true;
  }

  heal(): void {
    this.#isCut = false;
    for (const deliver of this.#waiting.splice(0)) this.#deliver(deliver);
  }

  #deliver(deliver: () => void): void {
    if (this.delayMs === 0) queueMicrotask(deliver);
    else this.#clock.after(this.delayMs, deliver);
  }
}

/** A call or a stream under way. */
interface Connection {
  readonly from: string;
  readonly to: string;
  broken(error: WireError): void;
}

export class TestNetwork {
  readonly #clock: Clock;
  readonly #served = new Map<string, ServedBroker>();
  readonly #wires = new Map<string, Wire>();
  /** Of brokers that somebody was connected to. */
  readonly #endpoints = new Map<string, string>();
  readonly #connections = new Set<Connection>();
  readonly #listeners = new Map<string, ((peer: Peer, isRefused: boolean) => void)[]>();
  /** Whom a broker has found gone, as `from>to`. */
  readonly #refused = new Set<string>();
  /** Calls that arrived, as `from>to what`, for whoever counts them. */
  readonly calls: string[] = [];
  /** Whether brokers are told who refuses them: without, journals of one that is gone wait for its lease. */
  isTelling = true;
  /** How old Replicate streams may become. */
  streamMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The network as `self` has it. */
  of(self: ProcessId): PeerNetwork {
    const from = memberName(self);
    const ageMs = (): number => this.streamMs;
    return {
      get streamMs() {
        return ageMs();
      },
      replicate: (peer, journal, listener) => this.#replicate(from, peer, journal, listener),
      proxied: (peer) => ({
        append: (request, content, signal) =>
          this.#call(from, peer, "append", signal, ({ transport }, scope) =>
            transport.append(request, copyOf(content), scope),
          ),
        listFragments: (request, signal) =>
          this.#call(from, peer, "listFragments", signal, ({ transport }, scope) =>
            transport.listFragments(request, scope),
          ),
        read: (request, signal) =>
          this.#stream(from, peer, "read", signal, ({ transport }, scope) => transport.read(request, scope)),
      }),
      holder: (peer) => ({
        hold: (request, signal) =>
          this.#call(from, peer, `hold ${request.wants}`, signal, (served, scope) =>
            doorOf(served).hold(request, scope),
          ),
        fetch: (request, signal) =>
          this.#stream(from, peer, "fetch", signal, (served, scope) => doorOf(served).fetch(request, scope)),
        digest: (request, signal) =>
          this.#call(from, peer, "digest", signal, (served, scope) => doorOf(served).digest(request, scope)),
      }),
      onRefused: (listener) => {
        this.#listeners.set(from, [...(this.#listeners.get(from) ?? []), listener]);
      },
      probe: (peer) => {
        this.#call(from, peer, "probe", never, async () => undefined).catch(() => undefined);
      },
    };
  }

  /** The broker listens. */
  serve(id: ProcessId, served: ServedBroker): void {
    this.#served.set(memberName(id), served);
  }

  /** Its process is gone, or does not listen yet (W2). @returns what was served */
  refuse(id: ProcessId): ServedBroker | undefined {
    const gone = memberName(id);
    const served = this.#served.get(gone);
    this.#served.delete(gone);
    for (const connection of [...this.#connections]) {
      const { from, to } = connection;
      if (from !== gone && to !== gone) continue;
      this.#connections.delete(connection);
      connection.broken(new WireError("UNAVAILABLE", `connection reset by ${gone}`));
      if (to === gone) this.#tell(from, { id, endpoint: this.#endpoints.get(gone)! }, true);
    }
    return served;
  }

  /** Connections between two break; new ones can be made. */
  break(a: ProcessId, b: ProcessId): void {
    const [one, two] = [memberName(a), memberName(b)];
    for (const connection of [...this.#connections]) {
      const { from, to } = connection;
      if (!((from === one && to === two) || (from === two && to === one))) continue;
      this.#connections.delete(connection);
      connection.broken(new WireError("UNAVAILABLE", "connection reset"));
    }
  }

  /** The wire from one to another, for what is only about one direction. */
  wire(from: ProcessId, to: ProcessId): { delayMs: number; cut(): void; heal(): void } {
    return this.#wire(memberName(from), memberName(to));
  }

  /** Nothing passes between two, in either direction. */
  cut(a: ProcessId, b: ProcessId): void {
    this.wire(a, b).cut();
    this.wire(b, a).cut();
  }

  heal(a: ProcessId, b: ProcessId): void {
    this.wire(a, b).heal();
    this.wire(b, a).heal();
  }

  #wire(from: string, to: string): Wire {
    const key = `${from}>${to}`;
    let wire = this.#wires.get(key);
    if (wire === undefined) this.#wires.set(key, (wire = new Wire(this.#clock)));
    return wire;
  }

  /** @throws {WireError} when the peer refuses */
  #connect(from: string, peer: Peer): ServedBroker {
    const name = memberName(peer.id);
    const served = this.#served.get(name);
    this.#endpoints.set(name, peer.endpoint);
    this.#tell(from, peer, served === undefined);
    if (served === undefined) throw unseenByPeer(peer, "connection refused");
    return served;
  }

  #tell(from: string, peer: Peer, isRefused: boolean): void {
    const key = `${from}>${memberName(peer.id)}`;
    if (!this.isTelling || this.#refused.has(key) === isRefused) return;
    if (isRefused) this.#refused.add(key);
    else this.#refused.delete(key);
    for (const listener of this.#listeners.get(from) ?? []) listener(peer, isRefused);
  }

  async #call<T>(
    from: string,
    peer: Peer,
    what: string,
    signal: AbortSignal,
    ask: (served: ServedBroker, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const to = memberName(peer.id);
    const served = this.#connect(from, peer);
    const call = new CallUnderWay(from, to, this.#wire(from, to), signal);
    this.#connections.add(call);
    try {
      return await call.until(async () => {
        await this.#wire(from, to).pass();
        this.calls.push(`${from}>${to} ${what}`);
        const [answer] = await Promise.allSettled([ask(served, call.remoteSignal)]);
        await this.#wire(to, from).pass();
        if (answer.status === "rejected") throw answer.reason;
        return answer.value;
      });
    } finally {
      this.#connections.delete(call);
      call.dispose();
    }
  }

  async *#stream<T>(
    from: string,
    peer: Peer,
    what: string,
    signal: AbortSignal,
    ask: (served: ServedBroker, signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    signal.throwIfAborted();
    const to = memberName(peer.id);
    const served = this.#connect(from, peer);
    const call = new CallUnderWay(from, to, this.#wire(from, to), signal);
    this.#connections.add(call);
    let items: AsyncIterator<T> | undefined;
    try {
      await call.until(() => this.#wire(from, to).pass());
      this.calls.push(`${from}>${to} ${what}`);
      items = ask(served, call.remoteSignal)[Symbol.asyncIterator]();
      for (;;) {
        const next = await call.until(async () => {
          const [result] = await Promise.allSettled([items!.next()]);
          await this.#wire(to, from).pass();
          if (result.status === "rejected") throw result.reason;
          return result.value;
        });
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      this.#connections.delete(call);
      call.end();
      // One that waits for something is ended by its signal alone.
      void items?.return?.()?.catch(() => undefined);
      call.dispose();
    }
  }

  #replicate(from: string, peer: Peer, journal: string, listener: PeerListener): PeerStream {
    const to = memberName(peer.id);
    const [there, back] = [this.#wire(from, to), this.#wire(to, from)];
    let isOver = false;
    let sink: PeerStream | undefined;
    const end = (failure: WireError | undefined): void => {
      if (isOver) return;
      isOver = true;
      this.#connections.delete(connection);
      listener.ended(failure);
    };
    const connection: Connection = {
      from,
      to,
      broken: (error) => {
        sink?.cancel();
        end(error);
      },
    };
    const toSink = (act: (sink: PeerStream) => void): void =>
      there.send(() => {
        if (sink !== undefined) act(sink);
      });
    let served: ServedBroker;
    try {
      served = this.#connect(from, peer);
    } catch (error) {
      queueMicrotask(() => end(WireError.from(error)));
      return { send: () => true, halfClose: () => undefined, cancel: () => (isOver = true) };
    }
    this.#connections.add(connection);
    there.send(() => {
      if (isOver) return;
      this.calls.push(`${from}>${to} replicate ${journal}`);
      const answers: PeerListener = {
        answered: (response) => back.send(() => isOver || listener.answered(response)),
        drained: () => back.send(() => isOver || listener.drained()),
        ended: (failure) => back.send(() => end(failure)),
      };
      sink = doorOf(served).replicate(answers);
    });
    return {
      send: (request) => {
        const { content } = request;
        // What is given may be changed when this returns.
        const copy = content === undefined ? { ...request } : { ...request, content: content.slice() };
        toSink((door) => door.send(copy));
        return true;
      },
      halfClose: () => toSink((door) => door.halfClose()),
      cancel: () => {
        isOver = true;
        this.#connections.delete(connection);
        toSink((door) => door.cancel());
      },
    };
  }
}

/** Ends for its caller at once when he aborts it or it breaks; the other side hears of it over the wire. */
class CallUnderWay implements Connection {
  readonly from: string;
  readonly to: string;
  readonly #wire: Wire;
  readonly #signal: AbortSignal;
  readonly #remote = new AbortController();
  readonly #ended: Promise<never>;
  #fail: (error: Error) => void = () => undefined;
  readonly #onAbort = (): void => {
    this.#fail(this.#signal.reason as Error);
    this.end();
  };

  constructor(from: string, to: string, wire: Wire, signal: AbortSignal) {
    this.from = from;
    this.to = to;
    this.#wire = wire;
    this.#signal = signal;
    this.#ended = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#ended.catch(() => undefined);
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  get remoteSignal(): AbortSignal {
    return this.#remote.signal;
  }

  until<T>(work: () => Promise<T>): Promise<T> {
    return Promise.race([work(), this.#ended]);
  }

  broken(error: WireError): void {
    this.#remote.abort(error);
    this.#fail(error);
  }

  /** Nobody waits for what comes. */
  end(): void {
    this.#wire.send(() => this.#remote.abort(new WireError("UNAVAILABLE", "the caller went away")));
  }

  dispose(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
  }
}

function doorOf({ peers }: ServedBroker): NonNullable<ServedBroker["peers"]> {
  assert(peers !== undefined, "the broker serves its peers");
  return peers;
}

/** The other side has bytes of its own. */
function copyOf(content: AppendContent): AppendContent {
  if (content.kind === "chunks") return content;
  return { ...content, bytes: content.bytes.map((part) => part.slice()) };
}
