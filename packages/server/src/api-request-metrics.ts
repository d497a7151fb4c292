// Requests to the API's address as metrics, by route: its pattern as it is registered, never a path that somebody sent.
import type { Metrics } from "@millrace/base";
import type { FastifyInstance } from "fastify";

/** From 1 ms to a minute: a change of definitions is answered after a second at most. */
const REQUEST_BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Every route of `app`, present and future; add it before the hooks that refuse. */
export function addRequestMetrics(app: FastifyInstance, metrics: Metrics): void {
  const seconds = metrics.histogram(
    "millrace_api_request_seconds",
    "Requests to the API's address until the end of their answers, by route and status.",
    REQUEST_BUCKETS,
  );
  const received = metrics.counter(
    "millrace_api_received_bytes_total",
    "Bytes of the bodies of these requests.",
  );
  const sent = metrics.counter(
    "millrace_api_sent_bytes_total",
    "Bytes of the bodies of their answers, streams of events excepted.",
  );
  app.addHook("onResponse", (request, reply, done) => {
    const { url } = request.routeOptions;
    const route = url === undefined ? "none" : `${request.method} ${url}`;
    seconds.observe(reply.elapsedTime / 1000, { route, status: String(reply.raw.statusCode) });
    received.add(lengthOf(request.headers["content-length"]));
    sent.add(lengthOf(reply.getHeader("content-length")));
    done();
  });
}

function lengthOf(header: unknown): number {
  const length = Number(header ?? 0);
  return Number.isSafeInteger(length) && length > 0 ? length : 0;
}
