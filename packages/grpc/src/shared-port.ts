// One port for HTTP/2 and HTTP/1: the first bytes of a connection say which, and with TLS they have to agree with the
// protocol that was negotiated (ALPN).
//
// P0 What is neither HTTP/2 nor a verb of HTTP/1 is closed.
// P1 A connection that says nothing is closed after a while; one that says part of the preface waits as long.
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TlsOptions,
  type TLSSocket,
} from "node:tls";
import { assert, equalBytes, utf8, type Clock, type Logger } from "@millrace/base";
import { PREFACE } from "./h2-frame.ts";
import { RefusedClients } from "./refused-clients.ts";

export type AcceptSocket = (socket: Socket | TLSSocket, alreadyRead: Uint8Array) => void;

export interface SharedPortOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Sockets that begin with the HTTP/2 preface: for `GrpcServer.serve`. */
  readonly onHttp2: AcceptSocket;
  /**
   * Sockets that begin with a verb of HTTP/1, as if they had just been accepted: what was read is put back, and
   * comes in a later turn. A server of node:http takes one by `emit("connection", socket)`.
   */
  readonly onOther: (socket: Socket | TLSSocket) => void;
  readonly tls?: ServerTls | undefined;
  /** Silence at the beginning. Default 7.5 s. */
  readonly sniffMs?: number | undefined;
  readonly connectionsMax?: number | undefined;
}

/** PEM; `ca` asks clients for certificates. */
export interface ServerTls {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  readonly ca?: string | Uint8Array | undefined;
  /** With `ca`: whether a client without a certificate is refused (default), or has none to show. */
  readonly isClientCertificateOptional?: boolean | undefined;
}

const SNIFF_MS = 7500;

export class SharedPort {
  readonly #options: SharedPortOptions;
  readonly #server: Server | TlsServer;
  /** Accepted, and not handed on yet. */
  readonly #sniffing = new Set<Socket>();

  constructor(options: SharedPortOptions) {
    this.#options = options;
    const { tls, clock, logger } = options;
    // An HTTP/1 client may half-close when it has said all. Not within TLS: a client that leaves in the middle of the
    // handshake would stay.
    if (tls === undefined) {
      this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#sniff(socket));
    } else {
      this.#server = createTlsServer({ noDelay: true, ...tlsOptions(tls) }, (socket) => this.#sniff(socket));
      const refused = new RefusedClients(clock, logger);
      this.#server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
        refused.onFailed(error, socket);
        socket.destroy();
      });
    }
    if (options.connectionsMax !== undefined) this.#server.maxConnections = options.connectionsMax;
  }

  /** New connections get other certificates; those that are there keep what they have. */
  replaceTls(tls: ServerTls): void {
    if ("setSecureContext" in this.#server) this.#server.setSecureContext(tlsOptions(tls));
  }

  /** @returns the address; a port 0 has become a free one @throws the system's error (EADDRINUSE…) */
  async listen(
    address: { readonly host: string; readonly port: number } | { readonly path: string },
  ): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(address, () => resolve());
    });
    this.#server.removeAllListeners("error");
    // After that only accepting fails (too many open files): the next one may succeed.
    this.#server.on("error", (error) =>
      this.#options.logger.warn("accept-failed", { reason: error.message }),
    );
    if ("path" in address) return { host: address.path, port: 0 };
    return { host: address.host, port: (this.#server.address() as AddressInfo).port };
  }

  /** Accepts no more; sockets that were handed on are their takers'. Resolves when those are closed too. */
  async close(): Promise<void> {
    for (const socket of this.#sniffing) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #sniff(socket: Socket | TLSSocket): void {
    const { clock, logger, onHttp2, onOther } = this.#options;
    const agreed = "alpnProtocol" in socket ? socket.alpnProtocol : undefined;
    let read: Uint8Array = new Uint8Array(0);
    this.#sniffing.add(socket);
    const cancel = clock.after(this.#options.sniffMs ?? SNIFF_MS, () => socket.destroy()); // P1
    const drop = (): void => {
      cancel();
      this.#sniffing.delete(socket);
      socket.destroy();
    };
    const onData = (chunk: Uint8Array): void => {
      read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
      const kind = protocolOf(read);
      if (kind === undefined) return;
      cancel();
      this.#sniffing.delete(socket);
      socket.removeListener("data", onData);
      socket.removeListener("error", drop);
      socket.removeListener("end", drop);
      socket.removeListener("close", drop);
      if (kind === "unknown" || agreed === OTHER_ALPN[kind]) {
        logger.debug("connection-of-no-known-protocol", { peer: socket.remoteAddress });
        socket.destroy();
      } else if (kind === "http2") onHttp2(socket, read);
      else {
        socket.pause();
        socket.unshift(read);
        onOther(socket);
        setImmediate(() => socket.resume());
      }
    };
    socket.on("data", onData);
    socket.on("error", drop);
    socket.on("end", drop);
    socket.on("close", drop);
  }
}

type Protocol = "http1" | "http2" | "unknown";

/** The ALPN name that belongs to the other one. */
const OTHER_ALPN = { http1: "h2", http2: "http/1.1" } as const;

const BEGINNINGS: readonly (readonly [Protocol, Uint8Array])[] = [
  ["http2", PREFACE],
  ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"].map(
    (verb): readonly [Protocol, Uint8Array] => ["http1", utf8(`${verb} `)],
  ),
];

/** Undefined: as far as it goes, it may still become one of them. */
function protocolOf(bytes: Uint8Array): Protocol | undefined {
  let mayBecome = false;
  for (const [protocol, beginning] of BEGINNINGS) {
    const known = Math.min(bytes.length, beginning.length);
    if (!equalBytes(bytes.subarray(0, known), beginning.subarray(0, known))) continue;
    if (known === beginning.length) return protocol;
    mayBecome = true;
  }
  return mayBecome ? undefined : "unknown";
}

function tlsOptions({ cert, key, ca, isClientCertificateOptional = false }: ServerTls): TlsOptions {
  const pem = (value: string | Uint8Array): string | Buffer =>
    typeof value === "string" ? value : Buffer.from(value);
  // Node takes it for none, and would trust the platform's authorities.
  assert(ca === undefined || ca.length > 0, "authorities of clients are not empty");
  return {
    cert: pem(cert),
    key: pem(key),
    ...(ca === undefined
      ? {}
      : { ca: pem(ca), requestCert: true, rejectUnauthorized: !isClientCertificateOptional }),
    // Who can do both gets HTTP/1.1, which has more to offer here; gRPC clients ask for h2 alone.
    ALPNProtocols: ["http/1.1", "h2"],
    minVersion: "TLSv1.2",
  };
}
