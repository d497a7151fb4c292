// A port that speaks gRPC and HTTP/1, plain or over TLS: probes and metrics stand where the service does. Certificates
// may be replaced while it runs.
import { createServer, type RequestListener, type Server } from "node:http";
import { statSync, rmSync } from "node:fs";
import { connect } from "node:net";
import {
  assert,
  refuseHost,
  type Clock,
  type HostPolicy,
  type Logger,
  type RequestIds,
  takeTurns,
} from "@millrace/base";
import { PlainPutDoor, type PlainPutPorts } from "@millrace/broker";
import {
  GrpcServer,
  SharedPort,
  type CallHandlers,
  type ConnectionLimits,
  type HeldBudget,
  type ServerTls,
} from "@millrace/grpc";
import { connectionBounds } from "./connection-share.ts";
import type { ListenAddress } from "./setting-kinds.ts";
import { bindFailure, bindHost, HTTP_TIMES, processDescriptors, type HttpListener } from "./system-listen.ts";
import { readTls, SERVER_TLS_NAMES, type TlsFiles } from "./system-tls-files.ts";

export interface SharedListenPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly guard: { readonly policy: HostPolicy; readonly ids: RequestIds };
  /** Gets requests whose Host and Origin may use this address. */
  readonly onRequest: RequestListener;
  readonly calls: CallHandlers;
  /** Plain PUTs are served without node:http. */
  readonly puts?: PlainPutPorts | undefined;
  readonly limits: Partial<ConnectionLimits>;
  /** What connections of HTTP/2 hold together. */
  readonly budget?: HeldBudget | undefined;
  /** Without a certificate the port is plain; without authorities clients need none. */
  readonly tls?: TlsFiles | undefined;
}

/** A peer that is gone without a word holds its calls no longer than this. */
const KEEPALIVE = { afterMs: 30_000, timeoutMs: 20_000 };
/** How often certificates are looked at. They are renewed days before their end. */
const RELOAD_MS = 10_000;

/** @param what e.g. `broker.listen`; `host` "" binds every interface */
export async function listenShared(
  what: string,
  address: ListenAddress,
  ports: SharedListenPorts,
): Promise<HttpListener> {
  const { clock, logger, calls, limits, budget, tls } = ports;
  const http = httpServer(ports);
  const grpc = new GrpcServer({ handlers: calls, clock, logger, limits, budget, keepalive: KEEPALIVE });
  const puts = putDoor(ports, http);
  const port = new SharedPort({
    clock,
    logger,
    tls: tls === undefined ? undefined : serverTls(tls),
    connectionsMax: connectionBounds(processDescriptors(), 0).other,
    onHttp2: (socket, alreadyRead) => grpc.serve(socket, alreadyRead),
    onOther: (socket) => {
      if (puts === undefined) http.emit("connection", socket);
      else puts.accept(socket);
    },
  });
  const stopReloading = tls === undefined ? () => undefined : reload(tls, port, clock, logger);
  if (address.path !== undefined) await removeDeadSocket(address.path);
  const bound = await port
    .listen(
      address.path === undefined
        ? { host: bindHost(address.host), port: address.port }
        : { path: address.path },
    )
    .catch((error: NodeJS.ErrnoException) => {
      stopReloading();
      throw bindFailure(what, address, error);
    });
  return {
    host: address.host,
    port: bound.port,
    stop: async (signal) => {
      stopReloading();
      stopHttp(http, signal);
      puts?.stop(signal);
      await Promise.all([port.close(), grpc.stop(signal)]);
    },
  };
}

/** A process that was killed leaves its socket behind: nobody answers there. One that answers stays. */
async function removeDeadSocket(path: string): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const isAlive = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
  if (!isAlive) rmSync(path, { force: true });
}

/** A server that is given its connections: what would begin with listening has to be said. */
function httpServer({ guard, onRequest }: SharedListenPorts): Server {
  const server = createServer(HTTP_TIMES, (request, response) => {
    response.setHeader("X-Request-Id", guard.ids.next());
    const { host, origin } = request.headers;
    const refused = refuseHost(host, origin, guard.policy);
    if (refused === undefined) return onRequest(request, response);
    response.writeHead(403, { "content-type": "text/plain; charset=utf-8" }).end(`${refused}\n`);
  });
  takeTurns(server);
  server.emit("listening");
  return server;
}

/** In front of `http`, which gets whatever is not plain. */
function putDoor({ clock, guard, puts }: SharedListenPorts, http: Server): PlainPutDoor | undefined {
  if (puts === undefined) return undefined;
  return new PlainPutDoor({
    ...puts,
    ...guard,
    clock,
    idleMs: HTTP_TIMES.keepAliveTimeout,
    handOver: (socket) => {
      http.emit("connection", socket);
    },
  });
}

/** Connections end once their answers have; the port knows when all have. */
function stopHttp(server: Server, signal: AbortSignal): void {
  const cut = (): void => server.closeAllConnections();
  // It does not listen itself: closing it says that connections are not kept.
  server.close();
  server.closeIdleConnections();
  if (signal.aborted) cut();
  else signal.addEventListener("abort", cut, { once: true });
}

/** @throws {WireError} INVALID_ARGUMENT naming setting and file */
function serverTls(files: TlsFiles): ServerTls {
  const { cert, key, ca } = readTls(files, SERVER_TLS_NAMES);
  assert(cert !== undefined && key !== undefined, "a port with TLS has a certificate");
  return { cert, key, ca };
}

/** Looks at the files again and again: they are replaced by tools that tell nobody. */
function reload(files: TlsFiles, port: SharedPort, clock: Clock, logger: Logger): () => void {
  const stampOf = (): string =>
    [files.cert, files.key, files.ca]
      .map((file) => (file === "" ? "" : String(statSync(file, { throwIfNoEntry: false })?.mtimeMs)))
      .join(" ");
  let stamp = stampOf();
  let cancel: () => void;
  const look = (): void => {
    cancel = clock.after(RELOAD_MS, look);
    const now = stampOf();
    if (now === stamp) return;
    try {
      port.replaceTls(serverTls(files));
      stamp = now;
      logger.info("certificates-replaced", { cert: files.cert });
    } catch (error) {
      // Half-written, most likely: it is tried again, and the old ones go on.
      const { cert, key, ca } = files;
      logger.warn("certificates-not-replaced", { cert, key, ca, error: (error as Error).message });
    }
  };
  cancel = clock.after(RELOAD_MS, look);
  return () => cancel();
}
