// Who may use the API's address: the Host and Origin check, the token, and CORS for /v1 once tokens are required.
import { callerOf, tokenOf } from "@millrace/api";
import { hostPolicy, refuseHost, WireError, type HostPolicy, type TokenBook } from "@millrace/base";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/**
 * Routes that anybody may have: they say nothing, or are the page that asks for the token. Routes, as the router found
 * them: one path can be written in many ways.
 */
const OPEN_ROUTES = /^\/(livez|readyz|health-check|console(\/(?!api\/).*)?|v1\/?|v1\/documentation(\/.*)?)?$/;

const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
  "access-control-allow-headers": "Content-Type, Authorization, X-StorageApi-Token, X-KBC-ProjectId",
} as const;

export interface ApiGuardOptions {
  readonly listenHost: string;
  readonly tokens: TokenBook;
}

/** Adds the checks to every route of `app`, present and future. */
export function guardApi(app: FastifyInstance, options: ApiGuardOptions): void {
  const { tokens } = options;
  // Made once: a token of the project, which may come later, opens the address to no other machine and no other page.
  const isGuarded = tokens.hasPlatformToken;
  const policy = hostPolicy(options.listenHost, isGuarded);
  app.addHook("onRequest", (request, reply, done) => {
    const path = request.url.split("?", 1)[0] ?? "/";
    const isCrossOriginApi = isGuarded && path.startsWith("/v1");
    try {
      checkHost(request, policy, isCrossOriginApi);
      if (isCrossOriginApi && isPreflight(request)) {
        void reply.headers(CORS_HEADERS).code(204).send();
        return;
      }
      if (isCrossOriginApi) void reply.headers(CORS_HEADERS);
      if (!isOpen(request)) checkToken(request, reply, tokens);
    } catch (error) {
      done(error as Error);
      return;
    }
    done();
  });
}

/** What has no route is as closed as most. */
function isOpen({ routeOptions: { url } }: FastifyRequest): boolean {
  return url !== undefined && OPEN_ROUTES.test(url);
}

function isPreflight(request: FastifyRequest): boolean {
  return request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
}

function checkHost(request: FastifyRequest, policy: HostPolicy, anyOrigin: boolean): void {
  const origin = anyOrigin ? undefined : request.headers.origin;
  const refused = refuseHost(request.headers.host, origin, policy);
  if (refused !== undefined) throw new WireError("FORBIDDEN", refused);
}

function checkToken(request: FastifyRequest, reply: FastifyReply, tokens: TokenBook): void {
  if (tokens.ownerOf(tokenOf(request.headers)) !== undefined) return;
  void reply.header("www-authenticate", "Bearer");
  // The API has its own statuses and texts.
  if (/^\/v1(?:\/|$)/.test(request.url.split("?", 1)[0] ?? "")) callerOf(tokens, request.headers);
  throw new WireError("UNAUTHENTICATED", "a token is required: Authorization: Bearer <token>");
}
