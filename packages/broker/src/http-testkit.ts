// A gateway on a free port of loopback, and requests to it. For tests over real sockets.
import { createServer, request as send, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { silentLogger } from "@millrace/base";
import { EVERYONE } from "./authoriser.ts";
import { httpGateway, type GatewayOptions } from "./http-gateway.ts";
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

export async function openTestGateway(
  test: TestBroker,
  options: Partial<GatewayOptions> = {},
): Promise<TestGateway> {
  const handler = httpGateway({
    authorise: () => EVERYONE,
    transport: () => test.transport,
    metrics: () => test.metrics.render(),
    unready: () => test.broker.health(),
    degraded: () => [],
    storeHealth: (request, signal) => test.broker.storeHealth(request, signal),
    brokers: () => test.broker.members(),
    logger: silentLogger,
    ...options,
  });
  const server = createServer(handler);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
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
