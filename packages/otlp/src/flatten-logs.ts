// A record for each log record, with its resource and scope.
import { attributesJson, hasId, textJson, timeJson, valueJson } from "./flat-json.ts";
import { exportLogsRequest, LOGS_NAMES, type LogRecord } from "./otlp-logs.ts";
import type { SignalParts } from "./signal-parts.ts";

export const LOGS: SignalParts<LogRecord> = {
  names: LOGS_NAMES,
  request: exportLogsRequest,
  records: (items, index, { opening, path, origin }) => {
    const record = opening.part(items, index, path);
    return { count: 1, json: () => `{${logJson(record)},${origin}}` };
  },
};

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
