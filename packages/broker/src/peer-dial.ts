// How a broker reaches the others of its cluster: a connection to each endpoint, and what a call says of who makes it.
//
//  Q1  A broker vouches for itself: it has verified whose request it passes on, and signs with the cluster's own key
//      what the peer then verifies (section 1.12). Without keys it sends the platform's token.
//  Q2  A claim is signed again before half of its life is over, and is the same text until then: a channel keeps the
//      encoding of headers that are the same object.
//  Q3  PINGs go to brokers that keep lists of holders alone: Gazette's cut who pings more often than every 5 minutes.
//      Whoever waits for one of those that is gone without a word is freed by the keyspace (D12).
import type { Clock, Logger } from "@millrace/base";
import type { AuthKeys } from "@millrace/client";
import {
  GrpcChannel,
  NO_METADATA,
  type Channel,
  type ClientTls,
  type ConnectOutcome,
  type Keepalive,
  type Metadata,
} from "@millrace/grpc";
import type { Claims } from "@millrace/protocol";

export interface PeerDial {
  /** @param endpoint of a broker, as its member key has it @returns a channel that is kept for the next caller too */
  channel(endpoint: string): Channel;
  /** The broker there keeps lists of holders: its silence is noticed from now on (Q3). */
  watchSilence(endpoint: string): void;
  /** Nobody is to be reached any more. */
  readonly isClosed: boolean;
  /** Told when connections to an endpoint begin to be refused, and when one is taken again. */
  onRefused(listener: (endpoint: string, isRefused: boolean) => void): void;
  /** How long a call may go on with the headers that it began with, and as long again, ms. */
  readonly callMs: number;
  /** Headers for a call that needs `claims`. */
  metadata(claims: Claims): Metadata;
}

export interface PeerChannelsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** For `https:` endpoints; asked for each new connection. Default: the authorities that the platform trusts. */
  readonly tls?: (() => ClientTls) | undefined;
  /** The cluster's keys: the first one signs. */
  readonly keys?: AuthKeys | undefined;
  /** Sent where there are no keys; "": none. */
  readonly token?: string;
  /** Bytes of the largest message that is taken. */
  readonly receiveBytesMax?: number;
}

/** Connections to brokers at a time; for another one, the one used least lately ends after its calls. */
const CHANNELS_MAX = 256;
/** Signed claims that are kept. */
const SIGNED_MAX = 4096;
/**
 * A peer that says nothing for as long as both together is gone: appends that were passed on to it have no known
 * outcome then. A process that shares its processors with many has been seen to need two seconds for an answer.
 */
const KEEPALIVE: Keepalive = { afterMs: 2_000, timeoutMs: 5_000 };
/** What Gazette's brokers give their own tokens. */
const LIFE_MS = 3_600_000;
/** How long a token is used again. */
const REUSE_MS = LIFE_MS / 2;

interface Signed {
  readonly metadata: Metadata;
  readonly untilMs: number;
}

export class PeerChannels implements PeerDial {
  isClosed = false;
  readonly callMs: number;
  readonly #options: PeerChannelsOptions;
  readonly #channels = new Map<string, GrpcChannel>();
  readonly #closing = new Set<Promise<void>>();
  readonly #signed = new Map<string, Signed>();
  readonly #fixed: Metadata | undefined;
  /** Endpoints of brokers that answer PINGs. */
  readonly #watched = new Set<string>();
  readonly #refused = new Set<string>();
  readonly #listeners: ((endpoint: string, isRefused: boolean) => void)[] = [];

  constructor(options: PeerChannelsOptions) {
    this.#options = options;
    const { keys, token = "" } = options;
    this.callMs = keys === undefined ? Number.POSITIVE_INFINITY : LIFE_MS / 4;
    if (keys === undefined) {
      this.#fixed = token === "" ? NO_METADATA : new Map([["authorization", `Bearer ${token}`]]);
    }
  }

  channel(endpoint: string): Channel {
    const known = this.#channels.get(endpoint);
    if (known !== undefined) {
      // Last used, last closed.
      this.#channels.delete(endpoint);
      this.#channels.set(endpoint, known);
      return known;
    }
    const { clock, logger, tls, receiveBytesMax } = this.#options;
    const limits = receiveBytesMax === undefined ? {} : { receiveBytesMax };
    const keepalive = this.#watched.has(endpoint) ? KEEPALIVE : undefined;
    const onAttempt = (outcome: ConnectOutcome): void => this.#onAttempt(endpoint, outcome);
    const channel = new GrpcChannel({
      address: endpoint,
      clock,
      logger,
      tls,
      keepalive,
      onAttempt,
      limits,
    });
    this.#channels.set(endpoint, channel);
    if (this.#channels.size > CHANNELS_MAX) this.#closeOldest();
    return channel;
  }

  watchSilence(endpoint: string): void {
    if (this.#watched.has(endpoint)) return;
    if (this.#watched.size >= CHANNELS_MAX) this.#watched.clear();
    this.#watched.add(endpoint);
    const known = this.#channels.get(endpoint);
    if (known !== undefined) this.#leave(endpoint, known);
  }

  onRefused(listener: (endpoint: string, isRefused: boolean) => void): void {
    this.#listeners.push(listener);
  }

  metadata(claims: Claims): Metadata {
    const { keys, clock } = this.#options;
    if (this.#fixed !== undefined || keys === undefined) return this.#fixed ?? NO_METADATA;
    const nowMs = clock.wallMs();
    const key = JSON.stringify(claims);
    const known = this.#signed.get(key);
    // Q2. A clock that was put back makes it one from the future, to which no peer listens.
    if (known !== undefined && nowMs < known.untilMs && known.untilMs - nowMs <= REUSE_MS)
      return known.metadata;
    const metadata = new Map([["authorization", keys.sign(claims, LIFE_MS, nowMs)]]);
    if (this.#signed.size >= SIGNED_MAX) this.#signed.clear();
    this.#signed.set(key, { metadata, untilMs: nowMs + REUSE_MS });
    return metadata;
  }

  /** Calls under way end first, until `signal` aborts: then they are cut. */
  async close(signal: AbortSignal): Promise<void> {
    this.isClosed = true;
    const open = [...this.#channels.values()];
    this.#channels.clear();
    await Promise.all([...open.map((channel) => channel.close(signal)), ...this.#closing]);
  }

  #onAttempt(endpoint: string, outcome: ConnectOutcome): void {
    const isRefused = outcome === "refused";
    // An attempt that fails in another way says nothing about whether its process is there.
    if (outcome === "failed" || this.#refused.has(endpoint) === isRefused) return;
    if (isRefused) this.#refused.add(endpoint);
    else this.#refused.delete(endpoint);
    for (const listener of this.#listeners) listener(endpoint, isRefused);
  }

  #closeOldest(): void {
    const [endpoint, channel] = this.#channels.entries().next().value!;
    this.#leave(endpoint, channel);
  }

  /** Its calls end first. */
  #leave(endpoint: string, channel: GrpcChannel): void {
    this.#channels.delete(endpoint);
    const closing = channel.close(new AbortController().signal).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
