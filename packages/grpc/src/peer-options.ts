// What the shells of both sides are told: where, with which limits, with which keys.
import type { Clock, Logger } from "@millrace/base";
import type { HeldBudget } from "./held-bytes.ts";
import type { CallHandlers } from "./rpc.ts";

/** Limits of every connection, whichever side it is. */
export interface ConnectionLimits {
  /** Largest message that is received. Default 4 MiB. */
  readonly receiveBytesMax: number;
  /** Unsent bytes of one call, beyond which it ends with RESOURCE_EXHAUSTED. */
  readonly sendQueueBytesMax: number;
  /** Calls under way on one connection (server: SETTINGS_MAX_CONCURRENT_STREAMS). */
  readonly maxConcurrentStreams: number;
  /** What a peer may send of one call before the handler has taken it. */
  readonly streamWindowBytes: number;
  /** The same of all calls of a connection. */
  readonly connectionWindowBytes: number;
  /** Names and values of one header list, 32 more for each, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  readonly headerListBytesMax: number;
}

/** Notices a peer that is gone without a word. */
export interface Keepalive {
  /** Silence after which a PING is sent. */
  readonly afterMs: number;
  /** Silence after the PING, after which the connection is cut. */
  readonly timeoutMs: number;
}

export interface GrpcServerOptions {
  readonly handlers: CallHandlers;
  /** Encodings of messages (`grpc-encoding`) that handlers open themselves; others are refused. Default: none. */
  readonly passEncodings?: readonly string[] | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<ConnectionLimits> | undefined;
  readonly keepalive?: Keepalive | undefined;
  /** What all connections together may hold for their peers. Default: 1 GiB. */
  readonly budget?: HeldBudget | undefined;
}

/** `refused`: nobody listens there. */
export type ConnectOutcome = "connected" | "refused" | "failed";

/** Files' contents, not their paths; read anew for each connection, so that they can be replaced. */
export interface ClientTls {
  /** PEM. Default: the authorities that the platform trusts. */
  readonly ca?: string | Uint8Array | undefined;
  readonly cert?: string | Uint8Array | undefined;
  readonly key?: string | Uint8Array | undefined;
  /** Name that the server's certificate must have. Default: the host of the address. */
  readonly serverName?: string | undefined;
}

export interface GrpcChannelOptions {
  /** `http://host:port`, `https://host:port`, `unix:///path` or `unix://host/path`. */
  readonly address: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `:authority` of calls. Default: host and port of the address. */
  readonly authority?: string | undefined;
  /** Asked for each new connection; only for `https:`. */
  readonly tls?: (() => ClientTls) | undefined;
  /** Back-off between attempts doubles from 20 ms up to this. Default 500 ms. */
  readonly backoffMaxMs?: number | undefined;
  /** Attempt to connect, TLS and the first SETTINGS included. Default 5 s. */
  readonly connectTimeoutMs?: number | undefined;
  readonly keepalive?: Keepalive | undefined;
  /** Told of each attempt to connect. */
  readonly onAttempt?: ((outcome: ConnectOutcome) => void) | undefined;
  readonly limits?: Partial<ConnectionLimits> | undefined;
  readonly userAgent?: string | undefined;
}
