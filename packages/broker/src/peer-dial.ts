// How a broker reaches the others of its cluster: a connection to each endpoint, and what a call says of who makes it.
//
//  Q1  A broker vouches for itself: it has verified whose request it passes on, and signs with the cluster's own key
//      what the peer then verifies (section 1.12). Without keys it sends the platform's token.
//  Q2  A claim is signed again before half of its life is over, and is the same text until then: a channel keeps the
//      encoding of headers that are the same object.
//  Q3  No PINGs: Gazette's brokers cut who pings more often than every 5 minutes. Whoever waits for a peer that is gone
//      without a word is freed by the keyspace (D12).
import type { Clock, Logger } from "@millrace/base";
import type { AuthKeys } from "@millrace/client";
import { GrpcChannel, NO_METADATA, type Channel, type ClientTls, type Metadata } from "@millrace/grpc";
import type { Claims } from "@millrace/protocol";

export interface PeerDial {
  /** @param endpoint of a broker, as its member key has it @returns a channel that is kept for the next caller too */
  channel(endpoint: string): Channel;
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
/** What Gazette's brokers give their own tokens. */
const LIFE_MS = 3_600_000;

interface Signed {
  readonly metadata: Metadata;
  readonly untilMs: number;
}

export class PeerChannels implements PeerDial {
  readonly #options: PeerChannelsOptions;
  readonly #channels = new Map<string, GrpcChannel>();
  readonly #closing = new Set<Promise<void>>();
  readonly #signed = new Map<string, Signed>();
  readonly #fixed: Metadata | undefined;

  constructor(options: PeerChannelsOptions) {
    this.#options = options;
    const { keys, token = "" } = options;
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
    const channel = new GrpcChannel({ address: endpoint, clock, logger, tls, limits });
    this.#channels.set(endpoint, channel);
    if (this.#channels.size > CHANNELS_MAX) this.#closeOldest();
    return channel;
  }

  metadata(claims: Claims): Metadata {
    const { keys, clock } = this.#options;
    if (this.#fixed !== undefined || keys === undefined) return this.#fixed ?? NO_METADATA;
    const nowMs = clock.wallMs();
    const key = JSON.stringify(claims);
    const known = this.#signed.get(key);
    if (known !== undefined && nowMs < known.untilMs && known.untilMs - nowMs <= LIFE_MS)
      return known.metadata; // Q2
    const metadata = new Map([["authorization", keys.sign(claims, LIFE_MS, nowMs)]]);
    if (this.#signed.size >= SIGNED_MAX) this.#signed.clear();
    this.#signed.set(key, { metadata, untilMs: nowMs + LIFE_MS / 2 });
    return metadata;
  }

  /** Calls under way end first, until `signal` aborts: then they are cut. */
  async close(signal: AbortSignal): Promise<void> {
    const open = [...this.#channels.values()];
    this.#channels.clear();
    await Promise.all([...open.map((channel) => channel.close(signal)), ...this.#closing]);
  }

  #closeOldest(): void {
    const [endpoint, channel] = this.#channels.entries().next().value!;
    this.#channels.delete(endpoint);
    const closing = channel.close(new AbortController().signal).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
