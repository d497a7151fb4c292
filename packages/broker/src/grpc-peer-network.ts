// The other brokers over gRPC: what peer-network.ts says, on the channels of peer-dial.ts.
//
//  N1  A request that goes to several peers is encoded once.
//  N2  A call that certainly reached nobody says so (W3 of the network); what broke later may have been seen.
//  N3  A peer whose connections are refused has no process that listens: that is told, and so is that it answers again.
//      A connection that ends is tried anew at once to find out.
import { CODES, WireError, type Clock, type Code } from "@millrace/base";
import type { AppendContent } from "@millrace/client";
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
  labelSet,
  newAppendRequest,
  stripMeta,
  type AppendPreamble,
  type AppendResponse,
  type ReplicateRequest,
} from "@millrace/protocol";
import { CODE_TRAILER } from "./grpc-calls.ts";
import { holdAnswerOf, holdRequestMessage } from "./holder-wire.ts";
import { memberName } from "./journal-table.ts";
import { PROBE_INTERVAL_MS } from "./limits.ts";
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
const INTENT = append.encodeRequest(newAppendRequest({}));
const NOTHING = new Uint8Array(0);
/** Messages stay well below what a broker takes. */
const CHUNK_BYTES_MAX = 512 * 1024;

export class GrpcPeerNetwork implements PeerNetwork {
  readonly #dial: PeerDial;
  readonly #clock: Clock;
  readonly #encoded: EncodedOnce = { request: undefined, bytes: NOTHING };
  readonly #listeners: ((peer: Peer, isRefused: boolean) => void)[] = [];
  readonly #refused = new Set<string>();
  readonly #probed = new Set<string>();

  constructor(dial: PeerDial, clock: Clock) {
    this.#dial = dial;
    this.#clock = clock;
  }

  replicate(peer: Peer, journal: string, listener: PeerListener): PeerStream {
    const options = this.#options(journal, "REPLICATE");
    const stream = new ReplicateClientStream(peer, listener, this.#encoded, (end) => this.#ended(peer, end));
    stream.open(this.#dial.channel(peer.endpoint), options);
    return stream;
  }

  proxied(peer: Peer): ProxiedCalls {
    const channel = (): Channel => this.#dial.channel(peer.endpoint);
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
    const channel = (): Channel => this.#dial.channel(peer.endpoint);
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

  /** Finds out whether somebody listens there. N3 */
  probe(peer: Peer): void {
    const name = memberName(peer.id);
    if (this.#probed.has(name)) return;
    this.#probed.add(name);
    const call = this.#dial.channel(peer.endpoint).start(
      PROBE_PATH,
      { timeoutMs: PROBE_INTERVAL_MS },
      {
        onMessage: () => undefined,
        onEnd: (end) => {
          this.#probed.delete(name);
          this.#heard(peer, end);
          // Until it answers, or its member key is gone and nobody asks any more.
          if (this.#refused.has(name)) this.#clock.after(PROBE_INTERVAL_MS, () => this.#probeAgain(peer));
        },
      },
    );
    call.send(NOTHING);
    call.halfClose();
  }

  #probeAgain(peer: Peer): void {
    if (this.#refused.has(memberName(peer.id))) this.probe(peer);
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
    const source: { failure?: Error; isWhole: boolean } = { isWhole: false };
    const options = this.#options(request.journal, "APPEND");
    const messages = appendMessages(request, content, source);
    try {
      const channel = this.#dial.channel(peer.endpoint);
      const bytes = await callClientStream(channel, append.path, messages, options, signal);
      this.#answers(peer);
      return append.decodeResponse(bytes);
    } catch (error) {
      if (source.failure !== undefined) throw source.failure;
      throw this.#failed(peer, error, source.isWhole, signal);
    }
  }

  async #settled<T>(peer: Peer, answer: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      const value = await answer;
      this.#answers(peer);
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
        this.#answers(peer);
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

  #ended(peer: Peer, end: Pick<CallEnd, "code" | "message" | "maybeProcessed">): void {
    this.#heard(peer, end);
    if (end.code === "UNAVAILABLE" && end.maybeProcessed) this.probe(peer);
  }

  #heard(
    peer: Peer,
    { code, message, maybeProcessed }: Pick<CallEnd, "code" | "message" | "maybeProcessed">,
  ): void {
    if (code === "UNAVAILABLE" && !maybeProcessed) {
      if (message.includes("ECONNREFUSED")) this.#tell(peer, true);
    } else if (code !== "UNAVAILABLE" && code !== "DEADLINE_EXCEEDED" && code !== "CANCELLED")
      this.#answers(peer);
  }

  #answers(peer: Peer): void {
    if (this.#refused.size > 0) this.#tell(peer, false);
  }

  #tell(peer: Peer, isRefused: boolean): void {
    const name = memberName(peer.id);
    if (this.#refused.has(name) === isRefused) return;
    if (isRefused) {
      this.#refused.add(name);
      this.#clock.after(PROBE_INTERVAL_MS, () => this.#probeAgain(peer));
    } else this.#refused.delete(name);
    for (const listener of this.#listeners) listener(peer, isRefused);
  }
}

interface EncodedOnce {
  request: ReplicateRequest | undefined;
  bytes: Uint8Array;
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
      encoded.bytes = replicate.encodeRequest(request); // N1
      encoded.request = request;
    }
    return this.#call!.send(encoded.bytes);
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

async function* appendMessages(
  request: AppendPreamble,
  content: AppendContent,
  source: { failure?: Error; isWhole: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  yield append.encodeRequest(request);
  try {
    const parts = content.kind === "bytes" ? content.bytes : content.chunks;
    for await (const part of parts) {
      for (let at = 0; at < part.length; at += CHUNK_BYTES_MAX)
        yield append.encodeRequest(newAppendRequest({ content: part.subarray(at, at + CHUNK_BYTES_MAX) }));
    }
  } catch (error) {
    source.failure = error instanceof Error ? error : WireError.from(error);
    throw error;
  }
  source.isWhole = true;
  yield INTENT;
}

function failureOf(peer: Peer, error: RpcError, isWhole: boolean): WireError {
  const { code, message, trailers, maybeProcessed } = error;
  if (!maybeProcessed) return unseenByPeer(peer, message, error); // N2
  const own = trailers.get(CODE_TRAILER);
  if (own !== undefined && Object.hasOwn(CODES, own))
    return new WireError(own as Code, message, { cause: error });
  const told: Code =
    code === "UNAUTHENTICATED"
      ? "UNAUTHENTICATED"
      : code === "PERMISSION_DENIED"
        ? "FORBIDDEN"
        : "UNAVAILABLE";
  return new WireError(isWhole && told === "UNAVAILABLE" ? "OUTCOME_UNKNOWN" : told, message, {
    cause: error,
  });
}
