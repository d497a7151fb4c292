// The configuration API and the console as parts of the process, on one address.
import type { AddressInfo } from "node:net";
import fastify, { type FastifyInstance } from "fastify";
import { apiRoutes, pathRefusals, type ApiDependencies } from "@millrace/api";
import { RequestIds, SECONDS_BUCKETS, WireError, takeTurns } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import { guardApi } from "./api-guard.ts";
import { addRequestMetrics } from "./api-request-metrics.ts";
import { ConsoleFeed, type FeedSample } from "./console-feed.ts";
import { addConsoleRoutes, type SqlAnswer } from "./console-routes.ts";
import { LatencyWindow } from "./latency-window.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { ListenAddress } from "./setting-kinds.ts";
import { connectionBounds } from "./connection-share.ts";
import { bindFailure, bindHost, HTTP_TIMES, processDescriptors } from "./system-listen.ts";
import { listenAddress, type PartContext } from "./part-context.ts";

export interface ApiPart {
  readonly app: FastifyInstance;
  readonly address: ListenAddress;
}

/** Largest body of a request to the API or the console. */
const BODY_BYTES_MAX = 1024 * 1024;
/** How long a request may take to arrive. */
const BODY_MS_MAX = 30_000;

/** Listens first, so that the API can tell its own address. */
export async function startApi(
  lifecycle: Lifecycle,
  context: PartContext,
  dependencies: Omit<ApiDependencies, "signal">,
  consoleParts: ConsoleParts | undefined,
): Promise<ApiPart> {
  const { config, metrics, health, logger } = context;
  const address = listenAddress(config, "api.listen");
  const stopping = new AbortController();
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: true,
    frameworkErrors: pathRefusals(context.random),
    logger: false,
    http: HTTP_TIMES,
    requestTimeout: BODY_MS_MAX,
  });
  takeTurns(app.server);
  app.server.maxConnections = connectionBounds(processDescriptors(), 0).other;
  addRequestMetrics(app, metrics);
  const ids = new RequestIds(context.random);
  app.addHook("onRequest", (_request, reply, done) => {
    // On the raw answer: event streams take it over.
    reply.raw.setHeader("x-request-id", ids.next());
    done();
  });
  guardApi(app, { listenHost: address.host, tokens: context.tokens });
  app.setErrorHandler((thrown, _request, reply) => {
    const error = errorOf(thrown);
    const requestId = reply.raw.getHeader("x-request-id");
    if (error.status >= 500) logger.error("api-request-failed", { requestId, error: thrown });
    void reply
      .code(error.status)
      .send({ error: error.code, message: error.message, statusCode: error.status });
  });
  app.get("/livez", (_request, reply) => reply.type("text/plain").send("ok\n"));
  app.get("/readyz", (_request, reply) => {
    const { status, text } = health.page();
    return reply.code(status).type("text/plain").send(text);
  });
  app.get("/metrics", (_request, reply) => reply.type("text/plain; version=0.0.4").send(metrics.render()));
  await app.register(apiRoutes({ ...dependencies, signal: stopping.signal }));
  if (consoleParts !== undefined) {
    const latency = new LatencyWindow(metrics.histogram(APPEND_SECONDS, "Time of appends", SECONDS_BUCKETS));
    const feed = new ConsoleFeed({ sample: consoleParts.sample, latency, clock: context.clock, logger });
    await addConsoleRoutes(app, { ...consoleParts, feed, clock: context.clock, logger });
  }
  const port = await lifecycle.start(
    "api.listen",
    () => listen(app, address),
    async () => {
      stopping.abort(new WireError("SHUTTING_DOWN", "the API is closing"));
      await app.close();
    },
  );
  return { app, address: { host: address.host, port } };
}

/** The broker's histogram of append times. */
export const APPEND_SECONDS = "millrace_broker_append_seconds";

export interface ConsoleParts {
  readonly transport: JournalTransport;
  readonly sql: (body: string, accept: string, signal: AbortSignal) => Promise<SqlAnswer>;
  readonly sample: () => Promise<FeedSample>;
}

async function listen(app: FastifyInstance, address: ListenAddress): Promise<number> {
  try {
    await app.listen({ host: bindHost(address.host), port: address.port });
  } catch (error) {
    throw bindFailure("api.listen", address, error as NodeJS.ErrnoException);
  }
  return (app.server.address() as AddressInfo).port;
}

/** Fastify's own errors (a body that is not JSON, too large, …) have a status. */
function errorOf(thrown: unknown): WireError {
  if (thrown instanceof WireError) return thrown;
  const { statusCode, message } = thrown as { statusCode?: number; message?: string };
  if (statusCode === 413) return new WireError("TOO_LARGE", `the request is over ${BODY_BYTES_MAX} bytes`);
  if (statusCode === 415) return new WireError("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json");
  if (statusCode !== undefined && statusCode < 500)
    return new WireError("INVALID_ARGUMENT", message ?? "bad request");
  return new WireError("INTERNAL", "an unexpected error; see the log", { cause: thrown });
}
