// The listener of processes that work for others of their etcd and have no door of their own: probes, metrics, and
// loads into the warehouse that this process has.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { hostPolicy, refuseHost, WireError, type HostPolicy, takeTurns } from "@millrace/base";
import type { Authoriser } from "@millrace/broker";
import type { Target } from "@millrace/ingest";
import { answerTargetCall, TARGET_PATH } from "@millrace/targets";
import { brokerAuthoriser } from "./broker-authoriser.ts";
import { connectionBounds } from "./connection-share.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { isBrokerGuarded } from "./listen-policy.ts";
import { bindFailure, bindHost, HTTP_TIMES, processDescriptors } from "./system-listen.ts";
import { listenAddress, type PartContext } from "./part-context.ts";

const TEXT = "text/plain; charset=utf-8";
const METRICS = "text/plain; version=0.0.4; charset=utf-8";
/** From the first byte of a request to its last. */
const REQUEST_MS = 30_000;

/** @param target of this process's warehouse, if it has one @returns where it listens */
export async function startWorkDoor(
  lifecycle: Lifecycle,
  context: PartContext,
  target: Target | undefined,
): Promise<{ host: string; port: number }> {
  const { config, clock, logger } = context;
  const address = listenAddress(config, "work.listen");
  const door: Door = {
    ...context,
    target,
    policy: hostPolicy(address.host, isBrokerGuarded(config)),
    authoriser: brokerAuthoriser(config, context.tokens, clock),
  };
  const server = createServer({ ...HTTP_TIMES, requestTimeout: REQUEST_MS }, (request, response) => {
    answer(door, request, response).catch((thrown: unknown) => {
      const error = WireError.from(thrown);
      if (error.status >= 500) logger.error("work-request-failed", { error });
      if (response.headersSent) return void response.destroy();
      if (error.status === 401) response.setHeader("www-authenticate", "Bearer");
      send(response, error.status, TEXT, `${error.message}\n`);
    });
  });
  takeTurns(server);
  server.maxConnections = connectionBounds(processDescriptors(), 0).other;
  return lifecycle.start(
    "work.listen",
    () =>
      new Promise<{ host: string; port: number }>((resolve, reject) => {
        server.once("error", (error) => reject(bindFailure("work.listen", address, error)));
        server.listen(address.port, bindHost(address.host), () => {
          resolve({ host: address.host, port: (server.address() as AddressInfo).port });
        });
      }),
    async () => {
      server.close();
      server.closeAllConnections();
    },
  );
}

type Door = Pick<PartContext, "health" | "metrics" | "clock" | "logger"> & {
  readonly target: Target | undefined;
  readonly policy: HostPolicy;
  readonly authoriser: Authoriser;
};

async function answer(door: Door, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { health, metrics, authoriser, target } = door;
  const { host, origin, authorization } = request.headers;
  const refused = refuseHost(host, origin, door.policy);
  if (refused !== undefined) throw new WireError("FORBIDDEN", refused);
  const path = (request.url ?? "/").split("?", 1)[0]!;
  switch (path) {
    case "/livez":
      return send(response, 200, TEXT, "ok\n");
    case "/readyz": {
      const page = health.page();
      return send(response, page.status, TEXT, page.text);
    }
    case "/metrics":
      authoriser.authorise(authorization, "METRICS");
      return send(response, 200, METRICS, metrics.render());
    default:
      break;
  }
  if (target === undefined || !path.startsWith(TARGET_PATH))
    throw new WireError("NOT_FOUND", "not found: /livez, /readyz and /metrics are here");
  // Whoever may replicate counts as one of the platform.
  authoriser.authorise(authorization, "REPLICATE");
  await answerTargetCall({ ...door, target }, request, response);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
}
