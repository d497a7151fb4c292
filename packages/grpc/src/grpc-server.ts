// The server: connections that somebody else accepted, calls to handlers by path, and an end in order.
//
// G1 What is no gRPC is answered in HTTP: 415 for another content type, 405 for another method than POST. A text that
//    waits for the peer's windows costs no more than its own bytes: nobody has been authenticated.
// G2 Stopping: no new calls, those under way end until the signal aborts, then they are cut (UNAVAILABLE).
// G3 What all connections hold for their peers is bounded together (held-bytes.ts): the one that holds most is ended,
//    and its calls (RESOURCE_EXHAUSTED).
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock, Logger } from "@millrace/base";
import { Deadlines } from "./deadlines.ts";
import type { H2Connection } from "./h2-connection.ts";
import type { RequestHead } from "./h2-fields.ts";
import type { ConnectionOwner, H2Stream, StreamListener } from "./h2-stream.ts";
import { HeldBudget, HeldBytes } from "./held-bytes.ts";
import { ConnectionFault } from "./h2-error.ts";
import { HANDSHAKE_MS, HELD_TOGETHER_BYTES_MAX, limitsOf } from "./limits.ts";
import { PartialMessages } from "./message-reader.ts";
import { ChunkPool } from "./outbox.ts";
import type { ConnectionLimits, GrpcServerOptions } from "./peer-options.ts";
import type { CallHandlers, Peer } from "./rpc.ts";
import { CannedLists, GrpcServerCall, type CallContext } from "./server-call.ts";
import { describeFault, SocketLink } from "./socket-link.ts";
import { RpcError } from "./status.ts";

const STOPPED = "the server is shutting down";

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #limits: ConnectionLimits;
  readonly #pool = new ChunkPool();
  readonly #budget: HeldBudget;
  readonly #deadlines: Deadlines;
  readonly #connections = new Set<ServerConnection>();
  #isStopping = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#limits = limitsOf(options.limits);
    this.#budget = options.budget ?? new HeldBudget(HELD_TOGETHER_BYTES_MAX);
    this.#deadlines = new Deadlines(options.clock);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Calls under way. */
  get calls(): number {
    let calls = 0;
    for (const connection of this.#connections) calls += connection.calls;
    return calls;
  }

  /** Serves HTTP/2 on `socket`, of which `alreadyRead` was read; the socket is the server's from here on. */
  serve(socket: Socket | TLSSocket, alreadyRead: Uint8Array): void {
    if (this.#isStopping) {
      socket.destroy();
      return;
    }
    const { clock, logger, handlers, passEncodings, keepalive } = this.#options;
    const connection = new ServerConnection(
      socket,
      {
        clock,
        logger,
        handlers,
        passEncodings,
        keepalive,
        limits: this.#limits,
        pool: this.#pool,
        budget: this.#budget,
        deadlines: this.#deadlines,
      },
      () => this.#onClosed(connection),
    );
    this.#connections.add(connection);
    connection.push(alreadyRead);
  }

  /** G2 */
  async stop(signal: AbortSignal): Promise<void> {
    this.#isStopping = true;
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const connection of this.#connections) connection.stop();
    const cut = (): void => {
      for (const connection of this.#connections) connection.cut();
    };
    if (signal.aborted) cut();
    else signal.addEventListener("abort", cut, { once: true });
    if (this.#connections.size > 0) await empty;
    signal.removeEventListener("abort", cut);
    this.#deadlines.close();
  }

  #onClosed(connection: ServerConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }
}

interface Shared {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly handlers: CallHandlers;
  readonly passEncodings: GrpcServerOptions["passEncodings"];
  readonly keepalive: GrpcServerOptions["keepalive"];
  readonly limits: ConnectionLimits;
  readonly pool: ChunkPool;
  readonly budget: HeldBudget;
  readonly deadlines: Deadlines;
}

class ServerConnection implements ConnectionOwner {
  readonly #shared: Shared;
  readonly #link: SocketLink;
  readonly #connection: H2Connection;
  readonly #context: CallContext;
  readonly #calls = new Set<GrpcServerCall>();
  #isStopping = false;
  #cancelHandshake: (() => void) | undefined;

  constructor(socket: Socket, shared: Shared, onClosed: () => void) {
    this.#shared = shared;
    const { clock, limits, pool, keepalive } = shared;
    const held = new HeldBytes(shared.budget, (error) => this.#exhaust(error));
    const options = { role: "server", limits, clock, pool, keepalive, held } as const;
    this.#link = new SocketLink(socket, options, this, () => {
      this.#cancelHandshake?.();
      onClosed();
    });
    this.#connection = this.#link.connection;
    this.#context = {
      connection: this.#connection,
      limits,
      passEncodings: shared.passEncodings,
      held,
      partial: new PartialMessages(held),
      peer: peerOf(socket),
      deadlines: shared.deadlines,
      logger: shared.logger,
      nowMs: () => clock.monotonicMs(),
      later: (task) => this.#link.later(task),
      onOver: (call) => this.#onCallOver(call),
      canned: new CannedLists(),
    };
    this.#cancelHandshake = clock.after(HANDSHAKE_MS, () => this.#link.destroy("no SETTINGS in time"));
  }

  get calls(): number {
    return this.#calls.size;
  }

  push(bytes: Uint8Array): void {
    this.#link.push(bytes);
  }

  stop(): void {
    this.#isStopping = true;
    this.#connection.goAway(STOPPED);
    this.#endIfIdle();
  }

  cut(): void {
    for (const call of this.#calls) call.cut(new RpcError("UNAVAILABLE", STOPPED));
    this.#link.end();
    this.#link.destroy(STOPPED);
  }

  /** G3 */
  #exhaust(error: RpcError): void {
    for (const call of this.#calls) call.cut(error);
    this.#connection.end(new ConnectionFault("ENHANCE_YOUR_CALM", error.message));
  }

  onRequest(stream: H2Stream, request: RequestHead): StreamListener {
    if (request.method !== "POST" || !isGrpc(request.contentType)) return this.#refuse(stream, request); // G1
    const call = new GrpcServerCall(this.#context, stream, request);
    this.#calls.add(call);
    if (request.list.isCut) {
      const { headerListBytesMax } = this.#shared.limits;
      call.finish("RESOURCE_EXHAUSTED", `header list of more than ${headerListBytesMax} bytes`);
      return call;
    }
    const handler = this.#shared.handlers.get(request.path);
    if (handler !== undefined) call.begin(handler);
    else call.finish("UNIMPLEMENTED", this.#unknown(request.path));
    return call;
  }

  onReady(): void {
    this.#cancelHandshake?.();
    this.#cancelHandshake = undefined;
  }

  onGoAway(): void {}

  onStreamClosed(): void {
    if (this.#isStopping) this.#link.later(() => this.#endIfIdle());
  }

  onOver(fault: Parameters<ConnectionOwner["onOver"]>[0]): void {
    if (fault.code === "CONNECT_ERROR") return;
    const { address } = this.#context.peer;
    this.#shared.logger.warn("grpc-connection-refused", { peer: address, reason: describeFault(fault) });
  }

  #onCallOver(call: GrpcServerCall): void {
    this.#calls.delete(call);
    if (this.#isStopping) this.#link.later(() => this.#endIfIdle());
  }

  /** Every call has ended, and what it sent has left. */
  #endIfIdle(): void {
    if (this.#calls.size === 0 && this.#connection.openStreams === 0 && this.#connection.hasSaidGoodbye)
      this.#link.end();
  }

  #refuse(stream: H2Stream, request: RequestHead): StreamListener {
    const isGet = request.method !== "POST" && isGrpc(request.contentType);
    const [status, text] = isGet
      ? ["405", `gRPC calls are POST requests, not ${request.method.slice(0, 16)}\n`]
      : ["415", "this port serves gRPC over HTTP/2: content-type must be application/grpc\n"];
    const body = Uint8Array.from(text, (char) => char.charCodeAt(0) & 0x7f);
    const { sender } = this.#connection;
    const type = ["content-type", "text/plain; charset=utf-8", "content-length", String(body.length)];
    sender.headers(stream, [":status", status, ...type], { isEnd: request.method === "HEAD" });
    if (request.method !== "HEAD") {
      sender.bytes(stream, body);
      sender.end(stream, undefined);
    }
    return IGNORED;
  }

  /** The texts of grpc-go. */
  #unknown(path: string): string {
    const slash = path.lastIndexOf("/");
    if (!path.startsWith("/") || slash < 1) return `malformed method name: ${JSON.stringify(path)}`;
    const service = path.slice(1, slash);
    const isKnown = [...this.#shared.handlers.keys()].some((known) => known.startsWith(`/${service}/`));
    return isKnown
      ? `unknown method ${path.slice(slash + 1)} for service ${service}`
      : `unknown service ${service}`;
  }
}

/** What still comes of a request that was refused. */
const IGNORED: StreamListener = {
  onHeaders() {},
  onData() {},
  onEnd() {},
  onWritable() {},
  onReset() {},
};

function isGrpc(contentType: string): boolean {
  return contentType === "application/grpc" || contentType === "application/grpc+proto";
}

function peerOf(socket: Socket): Peer {
  const { remoteAddress, remotePort, remoteFamily } = socket;
  const host = remoteFamily === "IPv6" ? `[${remoteAddress}]` : remoteAddress;
  const isTls = "getPeerX509Certificate" in socket;
  const tls = isTls ? (socket as TLSSocket) : undefined;
  return {
    address: remoteAddress === undefined ? "unix" : `${host}:${remotePort}`,
    isTls,
    certificate: tls?.authorized === true ? tls.getPeerX509Certificate()?.raw : undefined,
  };
}
