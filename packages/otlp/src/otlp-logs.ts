// opentelemetry.proto.logs.v1 and its collector service, as far as records are made of it.
import {
  fixed32,
  fixed64,
  hexId,
  type Message,
  openEnumeration,
  optional,
  repeated,
  string,
} from "@millrace/protobuf";
import { type RequestParts, requestOf } from "./otlp-outline.ts";
import {
  type AnyValue,
  anyValue,
  type KeyValue,
  keyValue,
  otlpMessage,
  SPAN_ID_BYTES,
  TRACE_ID_BYTES,
} from "./otlp-values.ts";

/** SEVERITY_NUMBER_TRACE, _TRACE2, …, _FATAL4. */
const SEVERITIES: Readonly<Record<string, number>> = Object.fromEntries([
  ["SEVERITY_NUMBER_UNSPECIFIED", 0],
  ...["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].flatMap((level, i) =>
    ["", "2", "3", "4"].map((step, j) => [`SEVERITY_NUMBER_${level}${step}`, 4 * i + j + 1] as const),
  ),
]);

export interface LogRecord {
  readonly timeUnixNano: bigint;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly body?: AnyValue;
  readonly attributes: readonly KeyValue[];
  readonly flags: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly observedTimeUnixNano: bigint;
}
const logRecord = otlpMessage<LogRecord>({
  timeUnixNano: fixed64(1),
  severityNumber: openEnumeration(2, SEVERITIES, "severity number"),
  severityText: string(3),
  body: optional(5, anyValue),
  attributes: repeated(6, keyValue),
  flags: fixed32(8),
  traceId: hexId(9, TRACE_ID_BYTES),
  spanId: hexId(10, SPAN_ID_BYTES),
  observedTimeUnixNano: fixed64(11),
});

export const LOGS_NAMES = { groups: "resource_logs", scopes: "scope_logs", items: "log_records" } as const;
export const exportLogsRequest: Message<RequestParts<LogRecord>> = requestOf(LOGS_NAMES, logRecord);
