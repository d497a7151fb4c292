// A port that speaks gRPC and HTTP/1: probes and metrics stand where the service does.
import { createServer, type RequestListener, type Server } from "node:http";
import { refuseHost, type Clock, type HostPolicy, type Logger, type RequestIds } from "@millrace/base";
import { GrpcServer, SharedPort, type CallHandlers, type ConnectionLimits } from "@millrace/grpc";
import { connectionBounds } from "./connection-share.ts";
import type { ListenAddress } from "./setting-kinds.ts";
import { bindFailure, bindHost, HTTP_TIMES, processDescriptors, type HttpListener } from "./system-listen.ts";

export interface SharedListenPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly guard: { readonly policy: HostPolicy; readonly ids: RequestIds };
  /** Gets requests whose Host and Origin may use this address. */
  readonly onRequest: RequestListener;
  readonly calls: CallHandlers;
  readonly limits: Partial<ConnectionLimits>;
}

/** A peer that is gone without a word holds its calls no longer than this. */
const KEEPALIVE = { afterMs: 30_000, timeoutMs: 20_000 };

/** @param what e.g. `etcd.listen` */
export async function listenShared(
  what: string,
  address: ListenAddress,
  ports: SharedListenPorts,
): Promise<HttpListener> {
  const { clock, logger, calls, limits } = ports;
  const http = httpServer(ports);
  const grpc = new GrpcServer({ handlers: calls, clock, logger, limits, keepalive: KEEPALIVE });
  const port = new SharedPort({
    clock,
    logger,
    connectionsMax: connectionBounds(processDescriptors(), 0).other,
    onHttp2: (socket, alreadyRead) => grpc.serve(socket, alreadyRead),
    onOther: (socket) => {
      http.emit("connection", socket);
    },
  });
  const bound = await port
    .listen({ host: bindHost(address.host), port: address.port })
    .catch((error: NodeJS.ErrnoException) => {
      throw bindFailure(what, address, error);
    });
  return {
    host: address.host,
    port: bound.port,
    stop: async (signal) => {
      stopHttp(http, signal);
      await Promise.all([port.close(), grpc.stop(signal)]);
    },
  };
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
  server.emit("listening");
  return server;
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
