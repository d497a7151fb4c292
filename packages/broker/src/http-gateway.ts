// The broker's HTTP door over any transport: journals at their paths (GET, HEAD, PUT), REST under /v1, metrics and
// probes. A function for node:http; listening, TLS and time limits of connections belong to whoever listens.
//
//  Journals named `metrics`, `livez`, `readyz`, or below `v1/` or `debug/`, are not reachable at their paths; REST and
//  gRPC read them.
//  Nothing is served before `authorise` allowed it, but for the probes.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "@millrace/base";
import { WireError } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import { cleanPath, stripMeta } from "@millrace/protocol";
import type { Need, Principal, RefuseAppend } from "./authoriser.ts";
import { answerError, answerMoved, answerText } from "./http-answers.ts";
import { parseAppendRequest, serveAppend } from "./http-append.ts";
import type { ListedBroker } from "./cluster-members.ts";
import { DRAIN_PATH, serveDrain, type DrainDoor } from "./http-drain.ts";
import type { JoiningProgress } from "./joining.ts";
import { RequestBodies, sendJson } from "./http-json.ts";
import { parseReadRequest, serveRead } from "./http-read.ts";
import {
  answerStreamError,
  isStream,
  answerNotImplemented,
  answerRestError,
  restMethodOf,
  serveRest,
  type CheckStore,
  type RestMethod,
} from "./http-rest.ts";
import { LateTimers } from "./late-timers.ts";

export interface GatewayOptions {
  /** Who asks, if he may. @throws {WireError} UNAUTHENTICATED, FORBIDDEN */
  readonly authorise: (authorization: string | undefined, need: Need) => Principal | Promise<Principal>;
  /** The journals as `principal` may see them. */
  readonly transport: (principal: Principal) => JournalTransport;
  /** Metrics in the Prometheus text format. */
  readonly metrics: () => string;
  /** What stands against serving; empty when ready. */
  readonly unready: () => readonly string[];
  /** What is wrong though it serves: shown to whoever asks whether it is ready, so without any name. */
  readonly degraded: () => readonly string[];
  readonly storeHealth: CheckStore;
  /** Whether, and how far, the broker leaves. Default: nobody can make it. */
  readonly drain?: () => DrainDoor;
  /** What this broker copies from others. Default: it is not told. */
  readonly joining?: () => JoiningProgress;
  /** The brokers of the cluster. Default: they are not told. */
  readonly brokers?: () => readonly ListedBroker[];
  readonly logger: Logger;
  /** Why nobody may PUT to a journal, fit for who tried: others depend on what stands in it. Default: all may. */
  readonly refuseAppend?: RefuseAppend;
  /** Largest body of a PUT. Default 1 GiB: an append lies whole in one fragment. */
  readonly putBytesMax?: number;
  /** Silence after which the connection of a body is cut. Default a minute. */
  readonly putIdleMs?: number;
  /** Whether `/debug/` is here too, where Gazette's dashboards look; else journals are. Default true. */
  readonly debug?: boolean;
  /** What the process uses, as JSON. Default: nothing. */
  readonly variables?: () => string;
  /** Web origins that may use REST. */
  readonly allowOrigins?: readonly string[];
}

const PUT_BYTES_MAX = 1024 ** 3;
/** Of requests with a body in JSON that are under way. */
const BODIES_BYTES_MAX = 64 * 1024 ** 2;
const CORS_HEADERS =
  "Cache-Control, Content-Language, Content-Length, Content-Type, Expires, Last-Modified, Pragma, Authorization";
const BROKERS_PATH = "/v1/brokers";
const DEBUG_PATHS: ReadonlyMap<string, string> = new Map([
  ["/debug/ready", "/readyz"],
  ["/debug/metrics", "/metrics"],
]);
const NO_DIAGNOSTICS = "not found: /debug/ready, /debug/metrics and /debug/vars are here";
const REST_NEEDS: Record<RestMethod, Need> = {
  list: "LIST",
  read: "READ",
  apply: "APPLY",
  fragments: "READ",
  "store-health": "READ",
};

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

export function httpGateway(options: GatewayOptions): RequestHandler {
  const gateway = new Gateway(options);
  return (request, response) => gateway.handle(request, response);
}

class Gateway {
  readonly #options: GatewayOptions;
  readonly #timers = new LateTimers();
  readonly #bodies = new RequestBodies(BODIES_BYTES_MAX);

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    response.on("error", () => undefined); // The client is gone; `close` follows and ends what runs for it.
    const url = request.url ?? "/";
    const mark = url.indexOf("?");
    const path = mark < 0 ? url : url.slice(0, mark);
    const query = mark < 0 ? "" : url.slice(mark + 1);
    const { debug: isDebug = true } = this.#options;
    switch (isDebug ? (DEBUG_PATHS.get(path) ?? path) : path) {
      case "/livez":
        answerText(response, 200, "ok");
        return;
      case "/readyz":
        this.#answerReady(response);
        return;
      case "/metrics":
        this.#withPrincipal(request, response, "METRICS", () => this.#answerMetrics(response));
        return;
      case "/debug/vars":
        if (isDebug) this.#withPrincipal(request, response, "METRICS", () => this.#answerVariables(response));
        else this.#serveJournal(path, query, request, response);
        return;
      default:
        if (isDebug && path.startsWith("/debug/")) answerText(response, 404, NO_DIAGNOSTICS);
        else if (path === DRAIN_PATH) this.#serveDrain(request, response);
        else if (path === BROKERS_PATH) this.#serveBrokers(request, response);
        else if (path.startsWith("/v1/")) this.#serveRest(path, request, response);
        else this.#serveJournal(path, query, request, response);
    }
  }

  #serveJournal(path: string, query: string, request: IncomingMessage, response: ServerResponse): void {
    const { method } = request;
    try {
      const journal = journalOf(path);
      if (journal === undefined) {
        const clean = encodeURI(cleanPath(decodeURIComponent(path)));
        answerMoved(response, method, query === "" ? clean : `${clean}?${query}`);
      } else if (method === "GET" || method === "HEAD") {
        const read = parseReadRequest(journal, query, method);
        this.#withPrincipal(request, response, "READ", (transport) =>
          serveRead(transport, read, request, response),
        );
      } else if (method === "PUT") {
        const append = parseAppendRequest(journal, query);
        const { putBytesMax: bytesMax = PUT_BYTES_MAX, putIdleMs } = this.#options;
        this.#withPrincipal(request, response, "APPEND", (transport, principal) => {
          const refusal = this.#options.refuseAppend?.(stripMeta(journal), principal, "content");
          if (refusal !== undefined) throw new WireError("FORBIDDEN", refusal);
          const timers = this.#timers;
          serveAppend(transport, append, request, response, { bytesMax, idleMs: putIdleMs, timers });
        });
      } else {
        answerText(response, 400, `unknown method: ${method}`);
      }
    } catch (error) {
      answerError(response, error);
    }
  }

  #serveRest(path: string, request: IncomingMessage, response: ServerResponse): void {
    const { origin } = request.headers;
    if (origin !== undefined && this.#options.allowOrigins?.includes(origin) === true) {
      response.setHeader("Access-Control-Allow-Origin", origin);
      response.setHeader("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
      response.setHeader("Access-Control-Allow-Headers", CORS_HEADERS);
      response.setHeader("Vary", "Origin");
    }
    if (request.method === "OPTIONS") {
      response.writeHead(200).end();
      return;
    }
    const method = restMethodOf(path, request.method ?? "");
    if (method === undefined) {
      answerNotImplemented(response);
      return;
    }
    const { storeHealth } = this.#options;
    this.#withPrincipal(
      request,
      response,
      REST_NEEDS[method],
      (transport) => serveRest({ transport, storeHealth, bodies: this.#bodies }, method, request, response),
      isStream(method) ? answerStreamError : answerRestError,
    );
  }

  #serveDrain(request: IncomingMessage, response: ServerResponse): void {
    const { drain } = this.#options;
    if (drain === undefined || (request.method !== "POST" && request.method !== "GET")) {
      answerNotImplemented(response);
      return;
    }
    this.#withPrincipal(
      request,
      response,
      "APPLY",
      (_, principal) => serveDrain(drain(), principal, this.#bodies, request, response),
      answerRestError,
    );
  }

  #serveBrokers(request: IncomingMessage, response: ServerResponse): void {
    const { brokers, joining } = this.#options;
    if (brokers === undefined || request.method !== "GET") {
      answerNotImplemented(response);
      return;
    }
    const serve = (_: JournalTransport, { visible }: Principal): void => {
      if (visible !== undefined)
        throw new WireError("FORBIDDEN", "brokers are told to those who may see all journals");
      sendJson(response, 200, { brokers: brokers(), ...(joining && { joining: joining() }) });
    };
    this.#withPrincipal(request, response, "LIST", serve, answerRestError);
  }

  /** Runs `serve` for whoever asks, at once when authorising needs no waiting. */
  #withPrincipal(
    request: IncomingMessage,
    response: ServerResponse,
    need: Need,
    serve: (transport: JournalTransport, principal: Principal) => void | Promise<void>,
    refuse: (response: ServerResponse, error: unknown) => void = answerError,
  ): void {
    const { authorise, transport, logger } = this.#options;
    const failed = (error: unknown): void => {
      const { code, message } = WireError.from(error);
      if (code === "INTERNAL")
        logger.error("http-request-failed", {
          requestId: response.getHeader("X-Request-Id"),
          method: request.method,
          error: message,
        });
      refuse(response, error);
    };
    try {
      const principal = authorise(request.headers.authorization, need);
      if (principal instanceof Promise) {
        principal.then((known: Principal) => serve(transport(known), known)).catch(failed);
        return;
      }
      const served = serve(transport(principal), principal);
      if (served !== undefined) served.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #answerMetrics(response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
    response.end(this.#options.metrics());
  }

  #answerVariables(response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": "application/json; charset=utf-8" });
    response.end(`${this.#options.variables?.() ?? "{}"}\n`);
  }

  #answerReady(response: ServerResponse): void {
    const { unready, degraded } = this.#options;
    const reasons = unready();
    if (reasons.length > 0) answerText(response, 503, reasons.join("\n"));
    else answerText(response, 200, ["ok", ...degraded().map((line) => `degraded: ${line}`)].join("\n"));
  }
}

/** The journal at a path, or undefined when the path is not clean. @throws {WireError} INVALID_ARGUMENT */
function journalOf(path: string): string | undefined {
  let plain: string;
  try {
    plain = path.includes("%") ? decodeURIComponent(path) : path;
  } catch {
    throw new WireError("INVALID_ARGUMENT", `invalid URL escape in ${path}`);
  }
  // What is encoded is no part of the path's form, as at Gazette's brokers: it is in the name, which is refused then.
  if (!/\/[./]/.test(path)) return plain.slice(1);
  const clean = cleanPath(path);
  // A trailing slash is kept: it makes an invalid name, which says so.
  const isClean = path === clean || path === `${clean}/`;
  return isClean ? plain.slice(1) : undefined;
}
