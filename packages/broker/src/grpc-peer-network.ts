// The other brokers over gRPC: what peer-network.ts says, on the channels of peer-dial.ts.
//
//  N1  A request that goes to several peers is encoded once.
//  N2  A call that certainly reached nobody says so (W3 of the network); what broke later may have been seen.
//  N3  A peer whose connections are refused has no process that listens: that is told, and so is that it answers again.
//      A connection that ends is tried anew at once to find out.
import { WireError, type Clock } from "@millrace/base";
import {
  AppendMessages,
  CODE_TRAILER,
  codeOfRpc,
  FRAMES_METADATA,
  type AppendContent,
} from "@millrace/client";
import {
  callClientStream,
  callServerStream,
  callUnary,
  RpcError,
  type CallEnd,
  type CallOptions,
  type Channel,
  type ClientCall,
  type ClientCallListener,
} from "@millrace/grpc";
import {
  ANY_LABELS,
  CAPABILITY,
  HOLDER_SERVICE,
  JOURNAL_SERVICE,
  replicationHead,
  labelSet,
  stripMeta,
  type AppendPreamble,
  type AppendResponse,
  type ReplicateRequest,
} from "@millrace/protocol";
import { holdAnswerOf, holdRequestMessage } from "./holder-wire.ts";
import { brokerName } from "./journal-table.ts";
import { PROBE_FOR_MS, PROBE_INTERVAL_MS } from "./limits.ts";
import type { PeerDial } from "./peer-dial.ts";
import {
  unseenByPeer,
  type HolderCalls,
  type Peer,
  type PeerNetwork,
  type ProxiedCalls,
} from "./peer-network.ts";
import type { PeerListener, PeerStream } from "./peer-pipeline.ts";

const { append, read, listFragments, replicate } = JOURNAL_SERVICE;
const { hold, fetch, digest } = HOLDER_SERVICE;
/** Nobody serves it: any answer says that somebody is there. */
const PROBE_PATH = "/millrace.Holder/Probe";
const NOTHING = new Uint8Array(0);
/** Peers that are remembered. */
const PEERS_MAX = 1024;

export class GrpcPeerNetwork implements PeerNetwork {
  readonly streamMs: number;
  readonly #dial: PeerDial;
  readonly #clock: Clock;
  readonly #encoded: EncodedOnce = { request: undefined, bytes: NOTHING, content: undefined };
  readonly #listeners: ((peer: Peer, isRefused: boolean) => void)[] = [];
  /** Endpoints. */
  readonly #refused = new Set<string>();
  readonly #probed = new Set<string>();
  /** By endpoint, as they were asked last. */
  readonly #known = new Map<string, Peer>();

  constructor(dial: PeerDial, clock: Clock) {
    this.streamMs = dial.callMs;
    this.#dial = dial;
    this.#clock = clock;
    dial.onRefused((endpoint, isRefused) => {
      const peer = this.#known.get(endpoint);
      if (peer !== undefined) this.#tell(peer, isRefused);
    });
  }

  replicate(peer: Peer, journal: string, listener: PeerListener): PeerStream {
    const options = this.#options(journal, "REPLICATE");
    const stream = new ReplicateClientStream(peer, listener, this.#encoded, (end) => this.#ended(peer, end));
    stream.open(this.#channel(peer), options);
    return stream;
  }

  proxied(peer: Peer): ProxiedCalls {
    const channel = (): Channel => this.#channel(peer);
    return {
      append: (request, content, signal) => this.#append(peer, request, content, signal),
      read: (request, signal) => {
        const options = this.#options(request.journal, "READ");
        const messages = callServerStream(channel(), read.path, read.encodeRequest(request), options, signal);
        return this.#decoded(peer, messages, read.decodeResponse, signal);
      },
      listFragments: async (request, signal) => {
        const options = this.#options(request.journal, "READ");
        const bytes = listFragments.encodeRequest(request);
        const answer = callUnary(channel(), listFragments.path, bytes, options, signal);
        return listFragments.decodeResponse(await this.#settled(peer, answer, signal));
      },
    };
  }

  holder(peer: Peer): HolderCalls {
    this.#dial.watchSilence(peer.endpoint);
    const channel = (): Channel => this.#channel(peer);
    return {
      hold: async (request, signal) => {
        const options = this.#options(request.journal, "REPLICATE");
        const bytes = hold.encodeRequest(holdRequestMessage(request));
        const answer = callUnary(channel(), hold.path, bytes, options, signal);
        return holdAnswerOf(hold.decodeResponse(await this.#settled(peer, answer, signal)));
      },
      fetch: (request, signal) => {
        const options = this.#options(request.journal, "REPLICATE");
        const bytes = fetch.encodeRequest(request);
        const messages = callServerStream(channel(), fetch.path, bytes, options, signal);
        return this.#decoded(peer, messages, (message) => fetch.decodeResponse(message).content, signal);
      },
      digest: async (request, signal) => {
        const options = this.#options(request.journal, "REPLICATE");
        const bytes = digest.encodeRequest(request);
        const answer = callUnary(channel(), digest.path, bytes, options, signal);
        return digest.decodeResponse(await this.#settled(peer, answer, signal)).sha256;
      },
    };
  }

  onRefused(listener: (peer: Peer, isRefused: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /** Finds out whether somebody listens there, again and again while nobody does. N3 */
  probe(peer: Peer): void {
    if (this.#probed.has(peer.endpoint)) return;
    this.#probed.add(peer.endpoint);
    this.#probe(peer, this.#clock.monotonicMs() + PROBE_FOR_MS);
  }

  #probe(peer: Peer, untilMs: number): void {
    const { endpoint } = peer;
    const ended = (): void => {
      const isOver = this.#dial.isClosed || this.#clock.monotonicMs() >= untilMs;
      if (isOver || !this.#refused.has(endpoint)) this.#probed.delete(endpoint);
      else this.#clock.after(PROBE_INTERVAL_MS, () => this.#probe(peer, untilMs));
    };
    if (this.#dial.isClosed) {
      ended();
      return;
    }
    const listener = { onMessage: () => undefined, onEnd: ended };
    const call = this.#channel(peer).start(PROBE_PATH, { timeoutMs: PROBE_INTERVAL_MS }, listener);
    call.send(NOTHING);
    call.halfClose();
  }

  #options(journal: string, capability: "APPEND" | "READ" | "REPLICATE"): CallOptions {
    const selector = { include: labelSet(["name", stripMeta(journal)]), exclude: ANY_LABELS.exclude };
    return { metadata: this.#dial.metadata({ capabilities: CAPABILITY[capability], selector }) };
  }

  async #append(
    peer: Peer,
    request: AppendPreamble,
    content: AppendContent,
    signal: AbortSignal,
  ): Promise<AppendResponse> {
    const source = new AppendMessages(request, content);
    // Whoever appended was let in here: of a journal of frames the peer looks at the content alone.
    const { metadata } = this.#options(request.journal, "APPEND");
    const options = { metadata: new Map([...(metadata ?? []), [FRAMES_METADATA, "1"]]) };
    try {
      const channel = this.#channel(peer);
      const bytes = await callClientStream(channel, append.path, source, options, signal);
      return append.decodeResponse(bytes);
    } catch (error) {
      if (source.failure !== undefined) throw source.failure;
      throw this.#failed(peer, error, source.isWhole, signal);
    }
  }

  async #settled<T>(peer: Peer, answer: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      const value = await answer;
      return value;
    } catch (error) {
      throw this.#failed(peer, error, false, signal);
    }
  }

  async *#decoded<T>(
    peer: Peer,
    messages: AsyncIterable<Uint8Array>,
    decode: (bytes: Uint8Array) => T,
    signal: AbortSignal,
  ): AsyncGenerator<T, void, undefined> {
    try {
      for await (const message of messages) {
        yield decode(message);
      }
    } catch (error) {
      throw this.#failed(peer, error, false, signal);
    }
  }

  #failed(peer: Peer, thrown: unknown, isWhole: boolean, signal: AbortSignal): Error {
    if (signal.aborted) return signal.reason as Error;
    if (!(thrown instanceof RpcError)) return thrown instanceof Error ? thrown : WireError.from(thrown);
    this.#ended(peer, thrown);
    return failureOf(peer, thrown, isWhole);
  }

  /** One that broke off: is there still somebody? */
  #ended(peer: Peer, { code, maybeProcessed }: Pick<CallEnd, "code" | "maybeProcessed">): void {
    if (code === "UNAVAILABLE" && maybeProcessed) this.probe(peer);
  }

  #channel(peer: Peer): Channel {
    const known = this.#known.get(peer.endpoint);
    if (known?.id !== peer.id) {
      if (known === undefined && this.#known.size >= PEERS_MAX) this.#known.clear();
      this.#known.set(peer.endpoint, peer);
    }
    return this.#dial.channel(peer.endpoint);
  }

  #tell(peer: Peer, isRefused: boolean): void {
    if (isRefused) this.#refused.add(peer.endpoint);
    else this.#refused.delete(peer.endpoint);
    if (isRefused) this.probe(peer);
    for (const listener of this.#listeners) listener(peer, isRefused);
  }
}

interface EncodedOnce {
  request: ReplicateRequest | undefined;
  bytes: Uint8Array;
  /** Behind them. */
  content: Uint8Array | undefined;
}

class ReplicateClientStream implements PeerStream, ClientCallListener {
  readonly #peer: Peer;
  readonly #listener: PeerListener;
  readonly #encoded: EncodedOnce;
  readonly #onEnded: (end: CallEnd) => void;
  #call: ClientCall | undefined;

  constructor(peer: Peer, listener: PeerListener, encoded: EncodedOnce, onEnded: (end: CallEnd) => void) {
    this.#peer = peer;
    this.#listener = listener;
    this.#encoded = encoded;
    this.#onEnded = onEnded;
  }

  open(channel: Channel, options: CallOptions): void {
    this.#call = channel.start(replicate.path, options, this);
  }

  send(request: ReplicateRequest): boolean {
    const encoded = this.#encoded;
    if (encoded.request !== request) {
      // N1
      const head = replicationHead(request);
      encoded.bytes = head ?? replicate.encodeRequest(request);
      encoded.content = head === undefined ? undefined : request.content;
      encoded.request = request;
    }
    return this.#call!.send(encoded.bytes, encoded.content);
  }

  halfClose(): void {
    this.#call!.halfClose();
  }

  cancel(): void {
    this.#call!.cancel();
  }

  onMessage(bytes: Uint8Array): void {
    this.#listener.answered(replicate.decodeResponse(bytes));
  }

  onDrain(): void {
    this.#listener.drained();
  }

  onEnd(end: CallEnd): void {
    this.#onEnded(end);
    const { code, message, trailers, maybeProcessed } = end;
    if (code === "OK") this.#listener.ended(undefined);
    else
      this.#listener.ended(
        failureOf(this.#peer, new RpcError(code, message, { trailers, maybeProcessed }), false),
      );
  }
}

function failureOf(peer: Peer, error: RpcError, isWhole: boolean): WireError {
  if (!error.maybeProcessed) return unseenByPeer(peer, error.message, error); // N2
  // Our keys or clocks do not fit the peer's: whoever asked us was authorised here, and may find another broker.
  if (error.code === "UNAUTHENTICATED" || isForAnother(error))
    return unseenByPeer(peer, error.message, error);
  const code = codeOfRpc(error, isWhole, true);
  // What broke says nothing to whoever appended: `read ECONNRESET`. What a peer of ours says, it says itself.
  const isOwn = error.trailers.has(CODE_TRAILER);
  const text = code === "OUTCOME_UNKNOWN" && !isOwn ? unknownText(peer, error.message) : error.message;
  return new WireError(code, text, { cause: error });
}

/** Another broker listens at the peer's address by now; Gazette's say it in the same words. */
function isForAnother({ message }: RpcError): boolean {
  return message.includes("ProcessId doesn't match our own");
}

function unknownText({ id }: Peer, why: string): string {
  const lost = `broker ${brokerName(id)} had the append and did not answer (${why})`;
  return `${lost}: it may have happened; look at the journal's end before trying again`;
}
