// The OpenAPI 3.1 document, made from the table of operations and their schemas. Committed as docs/openapi.json, where
// a change of the API shows.
import { assert } from "@millrace/base";
import { errorAnswer } from "./answer-schemas.ts";
import { API_ERRORS, type ApiErrorName } from "./api-errors.ts";
import type { Operation } from "./operation.ts";
import { OPERATIONS } from "./operations.ts";
import type { Fields, SchemaNode } from "./schema.ts";
import { SchemaWriter, type JsonSchema } from "./schema-json.ts";

const PATH_PARAMETERS: Readonly<Record<string, JsonSchema>> = {
  branchId: {
    description: "`default`, or the number of the default branch",
    schema: { type: "string", examples: ["default"] },
  },
  sourceId: { description: "ID of a source", schema: { type: "string", examples: ["orders"] } },
  sinkId: { description: "ID of a sink", schema: { type: "string", examples: ["orders"] } },
  versionNumber: { description: "Number of a version", schema: { type: "integer", minimum: 1 } },
  deadLetterId: { description: "ID of a dead letter", schema: { type: "string" } },
  tokenId: { description: "ID of a token", schema: { type: "string", examples: ["0123456789ab"] } },
  taskId: {
    description: "ID of a task, with its slashes",
    schema: { type: "string", examples: ["api.create.source/1/orders/2026-01-01T01:00:00.000Z_x1y2z"] },
  },
};

/** What any operation may answer. */
const COMMON_ERRORS: readonly ApiErrorName[] = [
  "missingField",
  "unauthorized",
  "badRequest",
  "internalError",
];

/** @param serverUrl of the API, without a slash at the end */
export function openapiDocument(serverUrl: string): object {
  const writer = new SchemaWriter();
  const error = writer.write(errorAnswer);
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of OPERATIONS) {
    const path = `/v1${operation.path.replace("*}", "}")}`;
    const methods = (paths[path] ??= {});
    methods[operation.method.toLowerCase()] = operationObject(operation, writer, error);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Millrace streams",
      version: "1",
      description:
        "Sources take records, sinks load them into tables. What changes something answers 202 with a task; " +
        "ask for its `url` until `isFinished`.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: serverUrl }],
    security: [{ token: [] }, { bearer: [] }, {}],
    tags: [
      { name: "sources", description: "Where records come in" },
      { name: "sinks", description: "Where records go, and how they are mapped" },
      { name: "tokens", description: "Who may use the API: required from the first one on" },
      { name: "tasks", description: "What changes are under way" },
      { name: "internal", description: "For the console" },
    ],
    paths,
    components: {
      securitySchemes: {
        token: { type: "apiKey", in: "header", name: "X-StorageApi-Token" },
        bearer: { type: "http", scheme: "bearer" },
      },
      schemas: writer.components(),
    },
  };
}

/** The document as it is committed. */
export function documentText(): string {
  return `${JSON.stringify(openapiDocument("/"), null, 2)}\n`;
}

function operationObject(operation: Operation, writer: SchemaWriter, error: JsonSchema): object {
  const { id, tag, summary, status, answer, body, access } = operation;
  const parameters = [...pathParameters(operation), ...queryParameters(operation.query, writer)];
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(access === "write" ? { description: "For administrators." } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: requestBody(body, writer) }),
    responses: {
      [String(status)]: {
        description: status === 202 ? "The task that does it" : "What was asked for",
        content: { "application/json": { schema: writer.write(answer) } },
      },
      ...errorResponses(operation, error),
    },
  };
}

function pathParameters({ path }: Operation): readonly object[] {
  return [...path.matchAll(/\{(\w+)\*?\}/g)].map(([, name = ""]) => {
    const about = PATH_PARAMETERS[name];
    assert(about !== undefined, "a parameter of a path is described", { path, name });
    return { name, in: "path", required: true, ...about };
  });
}

function queryParameters(query: Fields, writer: SchemaWriter): readonly object[] {
  return Object.entries(query).map(([name, { schema, isRequired }]) => {
    const { description, ...rest } = writer.write(schema);
    const about = description === undefined ? {} : { description };
    return { name, in: "query", required: isRequired, ...about, schema: rest };
  });
}

function requestBody(body: SchemaNode | "raw", writer: SchemaWriter): object {
  if (body === "raw") return { required: true, content: { "*/*": { schema: {} } } };
  return { required: true, content: { "application/json": { schema: writer.write(body) } } };
}

/** One response for each status, with the names that it may have and an example of the first. */
function errorResponses(
  { errors, body, query, access }: Operation,
  error: JsonSchema,
): Record<string, object> {
  const ofBody: readonly ApiErrorName[] =
    body === undefined || body === "raw"
      ? []
      : ["missingField", "invalidLength", "invalidEnumValue", "invalidFieldType"];
  const ofQuery: readonly ApiErrorName[] = Object.keys(query).length === 0 ? [] : ["invalidFieldType"];
  const ofRole: readonly ApiErrorName[] = access === "write" ? ["forbidden"] : [];
  const names = [...new Set([...ofBody, ...ofQuery, ...ofRole, ...COMMON_ERRORS, ...errors])];
  const byStatus = new Map<number, ApiErrorName[]>();
  for (const name of names) {
    const { status } = API_ERRORS[name];
    byStatus.set(status, [...(byStatus.get(status) ?? []), name]);
  }
  const responses = [...byStatus].map(([status, all]): [string, object] => {
    const description = all.map((name) => `\`stream.api.${name}\`: ${API_ERRORS[name].when}`).join(". ");
    return [String(status), { description, content: { "application/json": { schema: error } } }];
  });
  return Object.fromEntries(responses);
}
