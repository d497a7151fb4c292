// HTTP listeners of the platform over node:http: bind, time limits, graceful end.
import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { refuseHost, WireError, type HostPolicy, type RequestIds } from "@millrace/base";
import { connectionBounds, descriptorLimit } from "./connection-share.ts";
import type { ListenAddress } from "./setting-kinds.ts";

export interface HttpListener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting, lets answers under way end until `signal` aborts, then cuts them. */
  stop(signal: AbortSignal): Promise<void>;
}

/** Bodies may take their time: an append is a stream. Left alone, Node looks for late heads every 30 s. */
export const HTTP_TIMES = {
  headersTimeout: 10_000,
  requestTimeout: 0,
  keepAliveTimeout: 60_000,
  connectionsCheckingInterval: 1000,
} as const;

/** Bind failures as a person understands them. @param what e.g. `broker.listen` */
export function bindFailure(
  what: string,
  { host, port }: ListenAddress,
  error: NodeJS.ErrnoException,
): WireError {
  const why = error.code === "EADDRINUSE" ? "the address is in use" : error.message;
  return new WireError(
    "CONFLICT",
    `cannot listen on ${host}:${port}: ${why}; choose another with --${what} HOST:PORT`,
  );
}

/** Node wants IPv6 hosts without brackets. */
export function bindHost(host: string): string {
  return host.replaceAll(/[[\]]/g, "");
}

/** Limit of this process, where the system tells it. */
export function processDescriptors(): number | undefined {
  try {
    return descriptorLimit(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    return undefined;
  }
}

/** @param onRequest gets requests whose Host and Origin may use this address, with their id in the answer's head */
export function listenHttp(
  what: string,
  address: ListenAddress,
  guard: { readonly policy: HostPolicy; readonly ids: RequestIds },
  onRequest: RequestListener,
): Promise<HttpListener> {
  const server = createServer(HTTP_TIMES, (request, response) => {
    response.setHeader("X-Request-Id", guard.ids.next());
    const { host, origin } = request.headers;
    const refused = refuseHost(host, origin, guard.policy);
    if (refused === undefined) return onRequest(request, response);
    response.writeHead(403, { "content-type": "text/plain; charset=utf-8" }).end(`${refused}\n`);
  });
  server.maxConnections = connectionBounds(processDescriptors(), 0).other;
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(bindFailure(what, address, error)));
    server.listen(address.port, bindHost(address.host), () => {
      const { port } = server.address() as AddressInfo;
      resolve({ host: address.host, port, stop: (signal) => stopServer(server, signal) });
    });
  });
}

function stopServer(server: Server, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cut = (): void => server.closeAllConnections();
    server.close(() => {
      signal.removeEventListener("abort", cut);
      resolve();
    });
    server.closeIdleConnections();
    if (signal.aborted) cut();
    else signal.addEventListener("abort", cut, { once: true });
  });
}
