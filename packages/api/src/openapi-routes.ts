// Where the document is served: `/v1/documentation` and the specification's paths (1.2), for everybody.
import type { FastifyInstance } from "fastify";
import { openapiDocument } from "./openapi.ts";
import { documentPage } from "./openapi-page.ts";
import { yamlOf } from "./openapi-yaml.ts";

const BASE = "/documentation";

/** @param app below `/v1` */
export function addDocumentRoutes(app: FastifyInstance, serverUrl: () => string): void {
  app.get(`${BASE}/openapi3.json`, (_request, reply) => {
    return reply.type("application/json").send(`${JSON.stringify(openapiDocument(serverUrl()), null, 2)}\n`);
  });
  app.get(`${BASE}/openapi3.yaml`, (_request, reply) => {
    return reply.type("application/yaml").send(yamlOf(openapiDocument(serverUrl())));
  });
  // There is no document of OpenAPI 2.
  for (const ending of ["json", "yaml"]) {
    app.get(`${BASE}/openapi.${ending}`, (_request, reply) =>
      reply.redirect(`/v1${BASE}/openapi3.${ending}`, 302),
    );
  }
  for (const path of [BASE, `${BASE}/`]) {
    app.get(path, (_request, reply) => reply.type("text/html; charset=utf-8").send(documentPage()));
  }
}
