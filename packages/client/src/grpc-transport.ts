// Journals over gRPC: `protocol.Journal` of any broker of the protocol, ours or Gazette's. Calls about a journal go to
// the broker that has it, as far as the routes tell that came with answers; other calls, and those about journals that
// nobody knows of yet, to the address that was given, or to one of several. A broker that a call does not concern
// passes it on (1.13).
//
//  T1  A route that led nowhere (UNAVAILABLE) is forgotten, and a broker that could not be reached is left alone for a
//      while: calls go to an address. The endpoints that brokers announce need not be reachable from here.
//  T2  An append whose answer did not come has an unknown outcome, unless it is certain that no broker saw it.
//  T3  What is wrong with a request about a journal is found here, in a broker's words. A Go broker says UNKNOWN of
//      that as of everything that passes (it stops serving, a client was too slow): what is left is worth another try.
//  T4  Of several addresses one is used until it cannot be reached or is no longer among them, then the next. When none
//      could be reached, the one that was left alone longest is asked.
import { WireError, type Clock, type Logger } from "@millrace/base";
import {
  callClientStream,
  callServerStream,
  callUnary,
  GrpcChannel,
  RpcError,
  type CallOptions,
  type ClientTls,
  type Keepalive,
} from "@millrace/grpc";
import {
  CAPABILITY,
  JOURNAL_SERVICE,
  labelSet,
  newAppendRequest,
  stripMeta,
  validateAppendRequest,
  validateFragmentsRequest,
  validateReadRequest,
  ANY_LABELS,
  type AppendPreamble,
  type AppendResponse,
  type ApplyRequest,
  type ApplyResponse,
  type Claims,
  type FragmentsRequest,
  type FragmentsResponse,
  type FragmentStoreHealthRequest,
  type FragmentStoreHealthResponse,
  type LabelSelector,
  type ListRequest,
  type ListResponse,
  type ReadRequest,
  type ReadResponse,
} from "@millrace/protocol";
import type { AuthKeys } from "./auth-keys.ts";
import { RouteCache, type RouteCacheLimits } from "./route-cache.ts";
import { AppendMessages } from "./append-messages.ts";
import { codeOfRpc } from "./grpc-failures.ts";
import type { AppendContent, JournalTransport } from "./transport.ts";

export interface GrpcTransportOptions {
  /**
   * Of a broker, `http://127.0.0.1:8080`; https for TLS. Or those of all brokers that there are, asked at each call:
   * the first ones are preferred.
   */
  readonly address: string | (() => readonly string[]);
  readonly clock: Clock;
  readonly logger: Logger;
  /** Brokers of this zone are preferred for reading. Default `local`. */
  readonly zone?: string;
  /** A token to send as it is, or "". */
  readonly token?: string;
  /** Keys to sign tokens with, each for what its call needs. */
  readonly keys?: AuthKeys | undefined;
  /** Asked for each connection. */
  readonly tls?: (() => ClientTls) | undefined;
  /** Notices brokers that are gone without a word. Default: none; calls then wait for as long as TCP does. */
  readonly keepalive?: Keepalive | undefined;
  /** Whether appends bring frames of records, which a broker takes for the partitions of sinks. Default: no. */
  readonly frames?: boolean;
  /** How many routes are kept, and how long. */
  readonly routes?: Partial<RouteCacheLimits>;
}

/** Metadata of an append whose content is whole frames of records: `1`. */
export const FRAMES_METADATA = "millrace-frames";

/** Brokers that connections are kept to, besides the address. */
const CHANNELS_MAX = 64;
const UNREACHABLE_MS = 30_000;
const CALL_LIFE_MS = 3_600_000;
const APPLY_LIFE_MS = 60_000;
const { append, apply, fragmentStoreHealth, list, listFragments, read } = JOURNAL_SERVICE;

export class GrpcTransport implements JournalTransport {
  readonly #options: GrpcTransportOptions;
  readonly #routes: RouteCache;
  readonly #addresses: () => readonly string[];
  #home: string | undefined;
  readonly #channels = new Map<string, GrpcChannel>();
  /** Until when brokers are left alone, by endpoint. */
  readonly #unreachable = new Map<string, number>();

  constructor(options: GrpcTransportOptions) {
    this.#options = options;
    this.#routes = new RouteCache(options.clock, options.zone ?? "local", options.routes);
    const { address } = options;
    this.#addresses = typeof address === "string" ? () => [address] : address;
  }

  /** Ends the connections; calls under way fail. */
  async close(): Promise<void> {
    const reason = AbortSignal.abort(new WireError("SHUTTING_DOWN", "the transport is closed"));
    await Promise.all([...this.#channels.values()].map((channel) => channel.close(reason)));
  }

  async append(
    request: AppendPreamble,
    content: AppendContent,
    signal: AbortSignal,
  ): Promise<AppendResponse> {
    validateAppendRequest(newAppendRequest(request)); // T3
    const journal = stripMeta(request.journal);
    const plain = this.#call({ capabilities: CAPABILITY.APPEND, selector: named(journal) }, CALL_LIFE_MS);
    const options =
      this.#options.frames === true
        ? { metadata: new Map([...(plain.metadata ?? []), [FRAMES_METADATA, "1"]]) }
        : plain;
    for (;;) {
      const endpoint = this.#appendsTo(journal, content) ?? this.#homeNow();
      const source = new AppendMessages(request, content);
      try {
        const channel = this.#channel(endpoint);
        const bytes = await callClientStream(channel, append.path, source, options, signal);
        const answer = append.decodeResponse(bytes);
        this.#unreachable.delete(endpoint);
        this.#routes.learn(journal, answer.header.route);
        return answer;
      } catch (error) {
        if (source.failure !== undefined) throw source.failure;
        signal.throwIfAborted();
        const isUnseen = this.#wasUnreachable(endpoint, error);
        if (isUnseen && content.kind === "bytes") continue;
        throw this.#failed(journal, error, source.isWhole);
      }
    }
  }

  async *read(request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadResponse, void, undefined> {
    validateReadRequest(request); // T3
    const journal = stripMeta(request.journal);
    const options = this.#call({ capabilities: CAPABILITY.READ, selector: named(journal) }, CALL_LIFE_MS);
    for (;;) {
      const endpoint = this.#reachable(this.#routes.member(journal)) ?? this.#homeNow();
      try {
        const channel = this.#channel(endpoint);
        const messages = callServerStream(channel, read.path, read.encodeRequest(request), options, signal);
        for await (const message of messages) {
          const response = read.decodeResponse(message);
          if (response.header !== undefined) this.#routes.learn(journal, response.header.route);
          yield response;
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (this.#wasUnreachable(endpoint, error)) continue;
        throw this.#failed(journal, error, false);
      }
    }
  }

  async list(request: ListRequest, signal: AbortSignal): Promise<ListResponse> {
    let whole: ListResponse | undefined;
    for await (const message of this.#listing({ ...request, watch: false }, signal)) {
      whole =
        whole === undefined ? message : { ...whole, journals: [...whole.journals, ...message.journals] };
    }
    if (whole === undefined)
      throw new WireError("UNAVAILABLE", "the broker ended the listing before it began");
    for (const { spec, route } of whole.journals) this.#routes.learn(spec.name, route);
    return whole;
  }

  async *watchList(request: ListRequest, signal: AbortSignal): AsyncGenerator<ListResponse, void, undefined> {
    let snapshot: ListResponse | undefined;
    for await (const message of this.#listing({ ...request, watch: true }, signal)) {
      if (snapshot === undefined) snapshot = message;
      else if (message.journals.length > 0) {
        snapshot = { ...snapshot, journals: [...snapshot.journals, ...message.journals] };
      } else {
        // An empty message ends a snapshot.
        yield snapshot;
        snapshot = undefined;
      }
    }
  }

  async apply(request: ApplyRequest, signal: AbortSignal): Promise<ApplyResponse> {
    const options = this.#call({ capabilities: CAPABILITY.APPLY, selector: ANY_LABELS }, APPLY_LIFE_MS);
    const encoded = apply.encodeRequest(request);
    const call = (home: GrpcChannel): Promise<Uint8Array> =>
      callUnary(home, apply.path, encoded, options, signal);
    return apply.decodeResponse(await this.#atHome(call, signal));
  }

  async listFragments(request: FragmentsRequest, signal: AbortSignal): Promise<FragmentsResponse> {
    validateFragmentsRequest(request); // T3
    const journal = stripMeta(request.journal);
    const options = this.#call({ capabilities: CAPABILITY.READ, selector: named(journal) }, CALL_LIFE_MS);
    for (;;) {
      const endpoint = this.#reachable(this.#routes.member(journal)) ?? this.#homeNow();
      try {
        const channel = this.#channel(endpoint);
        const encoded = listFragments.encodeRequest(request);
        const bytes = await callUnary(channel, listFragments.path, encoded, options, signal);
        return listFragments.decodeResponse(bytes);
      } catch (error) {
        signal.throwIfAborted();
        if (this.#wasUnreachable(endpoint, error)) continue;
        throw this.#failed(journal, error, false);
      }
    }
  }

  /** Whether a store works for the broker at the address (section 5.6). */
  async storeHealth(
    request: FragmentStoreHealthRequest,
    signal: AbortSignal,
  ): Promise<FragmentStoreHealthResponse> {
    const options = this.#call({ capabilities: CAPABILITY.READ, selector: ANY_LABELS }, CALL_LIFE_MS);
    const encoded = fragmentStoreHealth.encodeRequest(request);
    const call = (home: GrpcChannel): Promise<Uint8Array> =>
      callUnary(home, fragmentStoreHealth.path, encoded, options, signal);
    return fragmentStoreHealth.decodeResponse(await this.#atHome(call, signal));
  }

  async *#listing(request: ListRequest, signal: AbortSignal): AsyncGenerator<ListResponse, void, undefined> {
    const options = this.#call({ capabilities: CAPABILITY.LIST, selector: request.selector }, CALL_LIFE_MS);
    const encoded = list.encodeRequest(request);
    for (;;) {
      const endpoint = this.#homeNow();
      try {
        const messages = callServerStream(this.#channel(endpoint), list.path, encoded, options, signal);
        for await (const message of messages) yield list.decodeResponse(message);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (this.#wasUnreachable(endpoint, error)) continue;
        throw this.#failed(undefined, error, false);
      }
    }
  }

  #call(claims: Claims, lifeMs: number): CallOptions {
    const { keys, token = "", clock } = this.#options;
    const authorization =
      token !== ""
        ? `Bearer ${token}`
        : keys === undefined
          ? undefined
          : keys.sign(claims, lifeMs, clock.wallMs());
    return authorization === undefined ? {} : { metadata: new Map([["authorization", authorization]]) };
  }

  /** What streams cannot be sent again: it goes only to a broker that is there already. */
  #appendsTo(journal: string, content: AppendContent): string | undefined {
    const endpoint = this.#reachable(this.#routes.primary(journal));
    if (endpoint === undefined || content.kind === "bytes") return endpoint;
    return this.#channels.get(endpoint)?.state === "ready" ? endpoint : undefined;
  }

  /** `endpoint`, unless it could not be reached a moment ago. */
  #reachable(endpoint: string | undefined): string | undefined {
    const untilMs = endpoint === undefined ? undefined : this.#unreachable.get(endpoint);
    if (untilMs === undefined) return endpoint;
    if (this.#options.clock.monotonicMs() < untilMs) return undefined;
    this.#unreachable.delete(endpoint!);
    return endpoint;
  }

  /** Whether it is certain that nobody saw the call, and another one may go elsewhere. T1 */
  #wasUnreachable(endpoint: string, error: unknown): boolean {
    if (!(error instanceof RpcError) || error.code !== "UNAVAILABLE" || error.maybeProcessed) return false;
    const addresses = this.#addresses();
    // Who has one address has nowhere else to go.
    if (addresses.length === 1 && addresses[0] === endpoint) return false;
    if (this.#unreachable.size >= CHANNELS_MAX) this.#unreachable.clear();
    this.#unreachable.set(endpoint, this.#options.clock.monotonicMs() + UNREACHABLE_MS);
    if (endpoint === this.#home) this.#home = undefined;
    return addresses.length === 1 || addresses.some((address) => this.#reachable(address) !== undefined);
  }

  /** T4 @throws {WireError} UNAVAILABLE when no broker is known */
  #homeNow(): string {
    const addresses = this.#addresses();
    if (this.#home !== undefined && addresses.includes(this.#home)) return this.#home;
    const leftAloneMs = (address: string): number => this.#unreachable.get(address) ?? 0;
    const byPatience = [...addresses].sort((a, b) => leftAloneMs(a) - leftAloneMs(b));
    const next = addresses.find((address) => this.#reachable(address) !== undefined) ?? byPatience[0];
    if (next === undefined) throw new WireError("UNAVAILABLE", "there is no broker");
    this.#home = next;
    return next;
  }

  /** A call that any broker answers. @throws {WireError} */
  async #atHome<T>(call: (home: GrpcChannel) => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      const endpoint = this.#homeNow();
      try {
        const answer = await call(this.#channel(endpoint));
        this.#unreachable.delete(endpoint);
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        if (this.#wasUnreachable(endpoint, error)) continue;
        throw this.#failed(undefined, error, false);
      }
    }
  }

  #channel(endpoint: string): GrpcChannel {
    const known = this.#channels.get(endpoint);
    if (known !== undefined) {
      // Last used, last closed.
      this.#channels.delete(endpoint);
      this.#channels.set(endpoint, known);
      return known;
    }
    const channel = this.#open(endpoint);
    this.#channels.set(endpoint, channel);
    if (this.#channels.size > CHANNELS_MAX) {
      const [oldest, unused] = this.#channels.entries().next().value!;
      this.#channels.delete(oldest);
      // Calls under way end first.
      unused.close(new AbortController().signal).catch(() => undefined);
    }
    return channel;
  }

  #open(address: string): GrpcChannel {
    const { clock, logger, tls, keepalive } = this.#options;
    return new GrpcChannel({ address, clock, logger, tls, keepalive });
  }

  /** @param isWhole what was sent of an append may have been committed */
  #failed(journal: string | undefined, thrown: unknown, isWhole: boolean): Error {
    if (!(thrown instanceof RpcError)) return thrown instanceof Error ? thrown : WireError.from(thrown);
    if (thrown.code === "UNAVAILABLE" && journal !== undefined) this.#routes.forget(journal); // T1
    return new WireError(codeOfRpc(thrown, isWhole, journal !== undefined), thrown.message, {
      cause: thrown,
    });
  }
}

function named(journal: string): LabelSelector {
  return { include: labelSet(["name", journal]), exclude: ANY_LABELS.exclude };
}
