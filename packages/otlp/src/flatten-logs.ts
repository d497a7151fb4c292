// A record for each log record, with its resource and scope.
import {
  attributesJson,
  hasId,
  resourceJson,
  scopeJson,
  textJson,
  timeJson,
  valueJson,
} from "./flat-json.ts";
import type { FlatWriter } from "./flat-records.ts";
import type { ExportLogsRequest, LogRecord } from "./otlp-logs.ts";

export function flattenLogs({ resourceLogs }: ExportLogsRequest, out: FlatWriter): void {
  for (const { resource, scopeLogs } of resourceLogs) {
    const resourceText = resourceJson(resource);
    for (const { scope, logRecords } of scopeLogs) {
      const origin = `"resource":${resourceText},"scope":${scopeJson(scope)}`;
      for (const record of logRecords) out.add(`{${logJson(record)},${origin}}`);
    }
  }
}

function logJson(record: LogRecord): string {
  return (
    `"timestamp":${timeJson(record.timeUnixNano)}` +
    `,"observed_timestamp":${timeJson(record.observedTimeUnixNano)}` +
    `,"severity_number":${record.severityNumber}` +
    `,"severity_text":${textJson(record.severityText)}` +
    `,"body":${valueJson(record.body)}` +
    `,"flags":${record.flags}` +
    (hasId(record.traceId) ? `,"trace_id":"${record.traceId}"` : "") +
    (hasId(record.spanId) ? `,"span_id":"${record.spanId}"` : "") +
    `,"attributes":${attributesJson(record.attributes)}`
  );
}
