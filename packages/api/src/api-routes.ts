// The configuration API `/v1` as a fastify plugin: a route for each operation of the table. Who calls is known before
// anything of the request is looked at; the guard of the address that it is mounted at asks for a token elsewhere.
import { RequestIds, WireError, type Random } from "@millrace/base";
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from "fastify";
import { authorOf, callerOf, checkAccess } from "./api-access.ts";
import type { ApiDependencies } from "./api-dependencies.ts";
import { ApiError, BODY_BYTES_MAX, envelopeOf } from "./api-errors.ts";
import type { Operation } from "./operation.ts";
import { OPERATIONS } from "./operations.ts";
import { addDocumentRoutes } from "./openapi-routes.ts";
import { checkBody, checkQuery } from "./schema-check.ts";

const ID_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Routes of `/v1` and `/health-check`. */
export function apiRoutes(deps: ApiDependencies): FastifyPluginAsync {
  return async (app) => {
    app.setErrorHandler((error, _request, reply) => {
      const envelope = envelopeOf(error, `millrace-api-${randomText(deps.random, 15)}`);
      if (envelope.exceptionId !== undefined) {
        deps.logger.error("api-request-failed", { exceptionId: envelope.exceptionId, error });
      }
      if (error instanceof WireError && error.retry === "same-request") void reply.header("retry-after", "1");
      void reply.code(envelope.statusCode).send(envelope);
    });
    const ids = new RequestIds(deps.random);
    app.addHook("onRequest", async (_request, reply) => {
      if (!reply.raw.hasHeader("x-request-id")) void reply.header("x-request-id", ids.next());
    });
    const notFound = (request: FastifyRequest): never => {
      const path = request.url.split("?", 1)[0] ?? "";
      throw new ApiError("endpointNotFound", `No endpoint found for path "${path}"`);
    };
    app.setNotFoundHandler(notFound);
    app.get("/", (_request, reply) => reply.redirect("/v1", 301));
    app.get("/health-check", (_request, reply) => reply.type("text/plain").send("OK"));
    await app.register(
      async (v1) => {
        v1.setNotFoundHandler(notFound);
        const documentation = (): string => `${deps.urls().api}/v1/documentation`;
        v1.get("/", () => ({ api: "stream", documentation: documentation() }));
        addDocumentRoutes(v1, () => deps.urls().api);
        for (const operation of OPERATIONS) if (operation.body !== "raw") addRoute(v1, operation, deps);
        await v1.register(async (raw) => {
          raw.removeAllContentTypeParsers();
          raw.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
          for (const operation of OPERATIONS) if (operation.body === "raw") addRoute(raw, operation, deps);
        });
      },
      { prefix: "/v1" },
    );
  };
}

function addRoute(app: FastifyInstance, operation: Operation, deps: ApiDependencies): void {
  const { method, path, status, body } = operation;
  app.route({
    method,
    url: path.replace(/\{(\w+)\*\}/, "*").replace(/\{(\w+)\}/g, ":$1"),
    bodyLimit: BODY_BYTES_MAX,
    onRequest: (request, _reply, done) => {
      try {
        checkAccess(callerOf(deps.book, request.headers), operation.access);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    handler: async (request, reply) => {
      const answer = await operation.handle({
        deps,
        by: authorOf(callerOf(deps.book, request.headers)),
        path: pathParameters(operation, request),
        query: checkQuery(operation.query, request.query as Record<string, unknown>),
        body: bodyOf(body, request.body),
        headers: firstHeaders(request),
        ip: request.ip,
      });
      return reply.code(status).send(answer);
    },
  });
}

function bodyOf(schema: Operation["body"], given: unknown): unknown {
  if (schema === "raw") return given ?? new Uint8Array(0);
  return schema === undefined ? undefined : checkBody(schema, given);
}

/** By their names in the table; fastify calls the rest of a path `*`. */
function pathParameters({ path }: Operation, request: FastifyRequest): Readonly<Record<string, string>> {
  const { "*": rest, ...named } = request.params as Record<string, string>;
  const restName = /\{(\w+)\*\}/.exec(path)?.[1];
  return restName === undefined || rest === undefined ? named : { ...named, [restName]: rest };
}

function firstHeaders(request: FastifyRequest): Readonly<Record<string, string>> {
  const headers = Object.entries(request.headers).flatMap(([name, value]) => {
    const first = Array.isArray(value) ? value[0] : value;
    return first === undefined ? [] : [[name, first] as const];
  });
  return Object.fromEntries(headers);
}

function randomText(random: Random, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += ID_LETTERS[random.below(ID_LETTERS.length)];
  return text;
}
