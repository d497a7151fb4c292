// A listener for diagnostics alone, plain and on every interface as Gazette's is: probes, metrics, and what the process
// uses. With `debug.private` they are nowhere else.
import { createServer, type RequestListener } from "node:http";
import { WireError, takeTurns } from "@millrace/base";
import type { Lifecycle } from "./lifecycle.ts";
import type { PartContext } from "./part-context.ts";
import { bindFailure, HTTP_TIMES } from "./system-listen.ts";

/** @throws {WireError} INVALID_ARGUMENT, CONFLICT */
export async function startDebug(
  lifecycle: Lifecycle,
  context: Pick<PartContext, "config" | "tokens" | "metrics" | "health" | "logger">,
): Promise<void> {
  const text = context.config["debug.port"];
  if (text === "") return;
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new WireError("INVALID_ARGUMENT", `debug.port: "${text}" is not a port in 0..65535`);
  if (context.config["auth.token"] === "")
    context.logger.warn("listens-without-authentication", {
      setting: "debug.port",
      address: `:${port}`,
      remedy: "auth.token",
    });
  const server = createServer(HTTP_TIMES, answers(context));
  takeTurns(server);
  await lifecycle.start(
    "debug.port",
    () =>
      new Promise<void>((resolve, reject) => {
        server.once("error", (error) => reject(bindFailure("debug.port", { host: "", port }, error)));
        server.listen(port, resolve);
      }),
    async () => {
      server.close();
      server.closeAllConnections();
    },
  );
}

/** `/debug/pprof` is Go's own: there is nothing like it here. */
export function answers({
  tokens,
  metrics,
  health,
}: Pick<PartContext, "tokens" | "metrics" | "health">): RequestListener {
  return (request, response) => {
    const answer = (status: number, body: string, type = "text/plain; charset=utf-8"): void =>
      void response.writeHead(status, { "content-type": type }).end(body);
    const isAllowed = tokens.bearerOf(request.headers.authorization) !== undefined;
    switch ((request.url ?? "/").split("?", 1)[0]) {
      case "/livez":
        return answer(200, "ok\n");
      case "/readyz":
      case "/debug/ready": {
        const page = health.page();
        return answer(page.status, page.text);
      }
      case "/metrics":
      case "/debug/metrics":
        if (isAllowed) return answer(200, metrics.render(), "text/plain; version=0.0.4; charset=utf-8");
        break;
      case "/debug/vars":
        if (isAllowed) return answer(200, `${processVariables()}\n`, "application/json; charset=utf-8");
        break;
      default:
        return answer(404, "not found: /debug/ready, /debug/metrics and /debug/vars are here\n");
    }
    response.setHeader("www-authenticate", "Bearer");
    answer(401, "a token is required: Authorization: Bearer <token>\n");
  };
}

/** What the process uses, as JSON: without the command line, which may hold secrets. */
export function processVariables(): string {
  const { pid, version, versions } = process;
  return JSON.stringify({
    pid,
    node: version,
    v8: versions.v8,
    uptimeSeconds: process.uptime(),
    memstats: process.memoryUsage(),
    cpuMicros: process.cpuUsage(),
  });
}
