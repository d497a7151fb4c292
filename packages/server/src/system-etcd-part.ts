// The coordination store of this process as an etcd for others: gRPC and, as etcd has them, metrics, probes and version
// over HTTP/1, on one port.
import type { ServerResponse, RequestListener } from "node:http";
import { hostPolicy, RequestIds } from "@millrace/base";
import {
  ETCD_CLUSTER_VERSION,
  ETCD_VERSION,
  EtcdServer,
  hashPassword,
  type EmbeddedStore,
} from "@millrace/metadata";
import type { Lifecycle } from "./lifecycle.ts";
import { listenAddress, type PartContext } from "./part-context.ts";
import type { HttpListener } from "./system-listen.ts";
import { listenShared } from "./system-shared-listen.ts";

/** etcd's bounds: 1.5 MiB and half a MiB around it, so that a request that is a little too large is told so. */
const LIMITS = {
  receiveBytesMax: 2 * 1024 * 1024,
  /** An answer of the largest size, and the next one beside it. */
  sendQueueBytesMax: 160 * 1024 * 1024,
  maxConcurrentStreams: 10_000,
};

export async function startEtcd(
  lifecycle: Lifecycle,
  context: PartContext,
  store: EmbeddedStore,
): Promise<HttpListener> {
  const { config, random } = context;
  const address = listenAddress(config, "etcd.listen");
  const token = config["auth.token"];
  let url = "";
  const server = new EtcdServer({ ...context, store, hashPassword, token, address: () => url });
  const listener = await lifecycle.start(
    "etcd.listen",
    () =>
      listenShared("etcd.listen", address, {
        ...context,
        calls: server.handlers,
        limits: LIMITS,
        guard: { policy: hostPolicy(address.host, token !== ""), ids: new RequestIds(random) },
        onRequest: probes(context),
      }),
    (started, signal) => {
      server.stop();
      return started.stop(signal);
    },
  );
  url = `${listener.host}:${listener.port}`;
  return listener;
}

function probes({ metrics, health, tokens }: PartContext): RequestListener {
  return (request, response) => {
    const path = (request.url ?? "/").split("?", 1)[0];
    if (path === "/livez") return answer(response, 200, "ok\n");
    if (path === "/readyz") {
      const { status, text } = health.page();
      return answer(response, status, text);
    }
    if (path === "/health") {
      const reason = health.reasons().join("; ");
      return answerJson(response, reason === "" ? 200 : 503, { health: String(reason === ""), reason });
    }
    if (path === "/version") {
      const versions = {
        etcdserver: ETCD_VERSION,
        etcdcluster: ETCD_CLUSTER_VERSION,
        storage: ETCD_CLUSTER_VERSION,
      };
      return answerJson(response, 200, versions);
    }
    if (path !== "/metrics") return answer(response, 404, "not found; etcd's API is gRPC\n");
    if (tokens.bearerOf(request.headers.authorization) !== undefined)
      return answer(response, 200, metrics.render());
    response.setHeader("www-authenticate", "Bearer");
    answer(response, 401, "a token is required: Authorization: Bearer <token>\n");
  };
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  type = "text/plain; version=0.0.4",
): void {
  response.writeHead(status, { "content-type": type }).end(body);
}

function answerJson(response: ServerResponse, status: number, body: unknown): void {
  answer(response, status, `${JSON.stringify(body)}\n`, "application/json");
}
