// A gateway on a free port of loopback, and requests to it. For tests over real sockets.
import {
  createServer as createHttpServer,
  request as send,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from "node:http";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { hostPolicy, RequestIds, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { EVERYONE, type Principal } from "./authoriser.ts";
import { httpGateway, type GatewayOptions } from "./http-gateway.ts";
import { PlainPutDoor } from "./http-plain-door.ts";
import type { TestBroker } from "./broker-testkit.ts";

export interface TestGateway {
  readonly port: number;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | undefined>>;
}

/** As a broker's port: plain PUTs are served in front of node:http. */
export async function openTestGateway(
  test: TestBroker,
  options: Partial<GatewayOptions> = {},
): Promise<TestGateway> {
  const gateway: GatewayOptions = {
    authorise: () => EVERYONE,
    transport: () => test.transport,
    metrics: () => test.metrics.render(),
    unready: () => test.broker.health(),
    degraded: () => [],
    storeHealth: (request, signal) => test.broker.storeHealth(request, signal),
    brokers: () => test.broker.members(),
    logger: silentLogger,
    ...options,
  };
  const http = createHttpServer(httpGateway(gateway));
  const puts = new PlainPutDoor({
    authorise: (authorization, need) => gateway.authorise(authorization, need) as Principal,
    journals: (principal) => ({
      ...test.broker.journalsFor(principal),
      transport: gateway.transport(principal),
    }),
    refuseAppend: (...asked) => gateway.refuseAppend?.(...asked),
    clock: systemClock,
    policy: hostPolicy("127.0.0.1", false),
    ids: new RequestIds(systemRandom),
    idleMs: http.keepAliveTimeout,
    handOver: (socket) => {
      http.emit("connection", socket);
    },
  });
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    puts.accept(socket);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export interface Ask {
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The whole answer. */
export async function ask(port: number, path: string, { method, body, headers }: Ask = {}): Promise<Answer> {
  const message = await begin(port, path, {
    method: method ?? "GET",
    ...(body === undefined ? {} : { body }),
    ...(headers === undefined ? {} : { headers }),
  });
  const parts: Buffer[] = [];
  for await (const part of message as AsyncIterable<Buffer>) parts.push(part);
  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    body: Buffer.concat(parts).toString("utf8"),
    trailers: message.trailers,
  };
}

/** The answer once its head is here. */
export function begin(port: number, path: string, { method, body, headers }: Ask): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = send({ host: "127.0.0.1", port, path, method, headers, agent: false }, resolve);
    request.on("error", reject);
    request.end(body);
  });
}
