// What an editor of definitions needs besides the specification's table: what a version said, and the rows that a
// mapping which is saved nowhere would make of a record.
import { utf8 } from "@millrace/base";
import { sampleRows, takesNul } from "@millrace/ingest";
import { mappedAnswer, sinkAnswer, sourceAnswer } from "./answer-schemas.ts";
import { keyOfSink, keyOfSource, refuse, sinkOf, sourceOf, versionNotFound } from "./lookups.ts";
import { sinkBody, sourceBody } from "./api-responses.ts";
import { operation, type Operation } from "./operation.ts";
import { refusalOf } from "./operations-test.ts";
import { parseVersion, testMappingSchema } from "./request-schemas.ts";
import { checkPrograms } from "./table-changes.ts";

const SOURCE = "/branches/{branchId}/sources/{sourceId}";
const SINK = `${SOURCE}/sinks/{sinkId}`;

const get = { method: "GET", access: "read", status: 200 } as const;

export const editorOperations: readonly Operation[] = [
  operation({
    ...get,
    id: "getSourceVersionDefinition",
    tag: "sources",
    path: `${SOURCE}/versions/{versionNumber}/definition`,
    summary: "Get a source as a version of it said, without its address",
    answer: sourceAnswer,
    errors: ["sourceNotFound", "sourceVersionNotFound"],
    handle: async (asked) => {
      const number = parseVersion(asked.path["versionNumber"] ?? "");
      const key = keyOfSource(await sourceOf(asked));
      const found = await asked.deps.repository.sourceVersion(key, number, asked.deps.signal);
      if (found === undefined) return refuse(versionNotFound("source", key.sourceId, number));
      // A secret that has been rotated is nobody's business.
      const { http: _, otlp: __, ...body } = sourceBody(found, asked.deps.urls()) as Record<string, unknown>;
      return body;
    },
  }),
  operation({
    ...get,
    id: "getSinkVersionDefinition",
    tag: "sinks",
    path: `${SINK}/versions/{versionNumber}/definition`,
    summary: "Get a sink as a version of it said",
    answer: sinkAnswer,
    errors: ["sourceNotFound", "sinkNotFound", "sinkVersionNotFound"],
    handle: async (asked) => {
      const number = parseVersion(asked.path["versionNumber"] ?? "");
      const key = keyOfSink(await sinkOf(asked));
      const found = await asked.deps.repository.sinkVersion(key, number, asked.deps.signal);
      return sinkBody(found ?? refuse(versionNotFound("sink", key.sinkId, number)));
    },
  }),
  operation({
    id: "testMapping",
    method: "POST",
    path: `${SOURCE}/test-mapping`,
    tag: "sources",
    summary: "Map a record by columns that are given with it; nothing is stored",
    access: "read",
    status: 200,
    body: testMappingSchema,
    answer: mappedAnswer,
    errors: ["sourceNotFound", "payloadTooLarge", "unsupportedMediaType", "unprocessableContent"],
    handle: async ({ body, ip, ...asked }) => {
      await sourceOf(asked);
      const { clock } = asked.deps;
      await checkPrograms(asked.deps, body.mapping.columns, "body.mapping.columns");
      const { headers = {}, body: content = "" } = body.record;
      const record = {
        acceptedAtMs: clock.wallMs(),
        clientIp: ip,
        headers: Object.entries(headers),
        body: utf8(content),
      };
      const { tableType } = body;
      const rules = tableType === undefined ? {} : { takesNul: takesNul(tableType) };
      const outcome = await sampleRows({ ...body.mapping, ...rules }, record, asked.deps);
      return outcome.kind === "refused" ? refuse(refusalOf(outcome)) : { rows: outcome.rows };
    },
  }),
];
