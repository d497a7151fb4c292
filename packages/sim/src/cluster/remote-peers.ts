// What a broker asks of others, over the simulated network.
import { WireError } from "@millrace/base";
import {
  unseenByPeer,
  type HoldAnswer,
  type HoldRequest,
  type Peer,
  type PeerDoor,
  type PeerListener,
  type PeerNetwork,
  type PeerStream,
} from "@millrace/broker";
import type { JournalTransport } from "@millrace/client";
import type { ProcessId, ReplicateRequest } from "@millrace/protocol";
import { ask, Call, follow, type CallPorts } from "./calls.ts";
import { remoteTransport } from "./remote-transport.ts";

/** What listens at a host. */
export interface Served {
  readonly transport: JournalTransport;
  readonly peers: PeerDoor;
}

export interface PeerPorts extends CallPorts {
  readonly served: (host: string) => Served;
  /** Told what is asked and answered. */
  readonly trace: (line: string) => void;
}

/** Bytes under way to a peer above which it is slow. */
const WINDOW_BYTES = 64 * 1024;

/** Hosts have the names of the brokers there. */
export function hostOf({ suffix }: ProcessId): string {
  return suffix;
}

export function remotePeers(ports: PeerPorts): PeerNetwork {
  const refusals = new Refusals(ports);
  const noticing = (peer: Peer): PeerPorts => ({ ...ports, broke: () => refusals.broke(peer) });
  return {
    replicate: (peer, journal, listener) => replicate(noticing(peer), peer, journal, listener),
    proxied: (peer) => {
      const to = hostOf(peer.id);
      const transport = remoteTransport(noticing(peer), to, () => ports.served(to).transport);
      return { ...transport, append: (...call) => transport.append(...call).catch(unseen(peer)) };
    },
    holder: (peer) => {
      const to = hostOf(peer.id);
      const noticed = noticing(peer);
      const door = (): PeerDoor => ports.served(to).peers;
      return {
        hold: async (request, signal) => {
          const what = `> ${to} ${shownHold(request)}`;
          ports.trace(what);
          const answer = await ask(noticed, to, (there) => door().hold(request, there), signal).catch(
            (error: unknown) => {
              ports.trace(`${what}: ${WireError.from(error).message}`);
              throw error;
            },
          );
          ports.trace(`${what}: ${shownAnswer(answer)}`);
          return answer;
        },
        fetch: (request, signal) => follow(noticed, to, (there) => door().fetch(request, there), signal),
        digest: (request, signal) => ask(noticed, to, (there) => door().digest(request, there), signal),
      };
    },
    onRefused: (listener) => refusals.listen(listener),
    probe: (peer) => refusals.broke(peer),
  };
}

/** An append that nobody has seen may go elsewhere: brokers tell each other so. */
function unseen(peer: Peer): (thrown: unknown) => never {
  return (thrown) => {
    const error = WireError.from(thrown);
    throw error.facts["why"] === "refused" ? unseenByPeer(peer, error.message, error) : error;
  };
}

function replicate(ports: PeerPorts, { id }: Peer, journal: string, listener: PeerListener): PeerStream {
  const to = hostOf(id);
  let hasEnded = false;
  const about = `> ${to} replicate ${journal}`;
  const end = (failure: WireError | undefined): void => {
    if (hasEnded) return;
    hasEnded = true;
    ports.trace(`${about}: ended ${failure?.message ?? ""}`);
    listener.ended(failure);
  };
  const call = new Call(ports, to, new AbortController().signal, (error) => end(WireError.from(error)));
  const { stream, served } = call;
  let sink: PeerStream | undefined;
  let underWayBytes = 0;
  let isSlow = false;
  stream.send(0, () => {
    try {
      sink = ports.served(to).peers.replicate({
        answered: (response) =>
          stream.send(1, () => {
            if (hasEnded) return;
            if (response.status !== "OK") ports.trace(`${about}: ${response.status}`);
            listener.answered(response);
          }),
        drained: () => stream.send(1, () => hasEnded || listener.drained()),
        ended: (failure) => call.answerLast(() => end(failure)),
      });
    } catch (error) {
      call.fails(error);
    }
    served.addEventListener("abort", () => sink?.cancel(), { once: true });
  });
  const arrived = (bytes: number): void => {
    underWayBytes -= bytes;
    if (!isSlow || underWayBytes > WINDOW_BYTES / 2) return;
    isSlow = false;
    stream.send(1, () => hasEnded || listener.drained());
  };
  return {
    send: (request) => {
      const sent = copyOf(request);
      if (sent.header !== undefined) ports.trace(`${about}: begun ${sent.epoch}.${sent.stream}`);
      const bytes = sent.content?.length ?? 0;
      underWayBytes += bytes;
      stream.send(0, () => {
        sink!.send(sent);
        arrived(bytes);
      });
      isSlow ||= underWayBytes > WINDOW_BYTES;
      return !isSlow;
    },
    halfClose: () => stream.send(0, () => sink!.halfClose()),
    cancel: () => {
      call.cancel(new WireError("UNAVAILABLE", `the stream of ${journal} was cancelled`));
      // Told later, as every other end.
      queueMicrotask(() => end(new WireError("UNAVAILABLE", "cancelled")));
    },
  };
}

/** What is given may be changed when `send` returns. */
function copyOf(request: ReplicateRequest): ReplicateRequest {
  const { content } = request;
  return content === undefined ? request : { ...request, content: content.slice() };
}

/** Between attempts to reach a peer that was refused or has reset its streams. */
const PROBE_MS = 200;

/** Who is refused: a peer that has reset a stream is tried until it answers, as a connection is that is kept. */
class Refusals {
  readonly #ports: PeerPorts;
  readonly #refused = new Set<string>();
  readonly #probed = new Set<string>();
  #listeners: ((peer: Peer, isRefused: boolean) => void)[] = [];

  constructor(ports: PeerPorts) {
    this.#ports = ports;
  }

  listen(listener: (peer: Peer, isRefused: boolean) => void): void {
    this.#listeners = [...this.#listeners, listener];
  }

  /** Somebody should look whether it is still there: a stream to `peer` broke without its being the caller's wish. */
  broke(peer: Peer): void {
    const host = hostOf(peer.id);
    if (this.#probed.has(host)) return;
    this.#probed.add(host);
    this.#probe(peer, host);
  }

  #probe(peer: Peer, host: string): void {
    const { from } = this.#ports;
    const limit = new AbortController();
    const cancel = from.clock.after(PROBE_MS, () => limit.abort(new WireError("UNAVAILABLE", "no answer")));
    ask(this.#ports, host, () => Promise.resolve(), limit.signal).then(
      () => {
        cancel();
        this.#probed.delete(host);
        this.#tell(peer, host, false);
      },
      (error: unknown) => {
        cancel();
        const isRefused = WireError.from(error).facts["why"] === "refused";
        if (isRefused) this.#tell(peer, host, true);
        if (isRefused) from.clock.after(PROBE_MS, () => this.#probe(peer, host));
        else this.#probed.delete(host);
      },
    );
  }

  #tell(peer: Peer, host: string, isRefused: boolean): void {
    if (this.#refused.has(host) === isRefused) return;
    if (isRefused) this.#refused.add(host);
    else this.#refused.delete(host);
    for (const listener of this.#listeners) listener(peer, isRefused);
  }
}

function shownHold(request: HoldRequest): string {
  const { wants, journal, epoch, stream } = request;
  const span =
    "begin" in request ? ` [${request.begin}, ${request.end}) of ${request.source?.id.suffix}` : "";
  return `${wants} ${journal} ${epoch}.${stream}${span}`;
}

function shownAnswer(answer: HoldAnswer): string {
  if (answer.kind === "refused") return answer.why;
  const { base, confirmed, end } = answer.held;
  return `taken, has [${base}, ${end}), confirmed ${confirmed}`;
}
