// A record for each span, with its resource and scope; its events and links stay within it.
import {
  attributesJson,
  enumJson,
  hasId,
  idJson,
  listJson,
  resourceJson,
  scopeJson,
  textJson,
  timeJson,
} from "./flat-json.ts";
import type { FlatWriter } from "./flat-records.ts";
import type { ExportTracesRequest, Span, SpanEvent, SpanLink } from "./otlp-traces.ts";

const KINDS = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];
const STATUSES = ["Unset", "Ok", "Error"];

export function flattenTraces({ resourceSpans }: ExportTracesRequest, out: FlatWriter): void {
  for (const { resource, scopeSpans } of resourceSpans) {
    const resourceText = resourceJson(resource);
    for (const { scope, spans } of scopeSpans) {
      const origin = `"resource":${resourceText},"scope":${scopeJson(scope)}`;
      for (const span of spans) out.add(`{${spanJson(span)},${origin}}`);
    }
  }
}

function spanJson(span: Span): string {
  return (
    `"timestamp":${timeJson(span.startTimeUnixNano)}` +
    `,"end_timestamp":${timeJson(span.endTimeUnixNano)}` +
    `,"trace_id":${idJson(span.traceId)}` +
    `,"span_id":${idJson(span.spanId)}` +
    (hasId(span.parentSpanId) ? `,"parent_span_id":"${span.parentSpanId}"` : "") +
    `,"trace_state":${textJson(span.traceState)}` +
    `,"name":${textJson(span.name)}` +
    `,"kind":${enumJson(KINDS, span.kind)}` +
    `,"flags":${span.flags}` +
    `,"status_code":${enumJson(STATUSES, span.status?.code ?? 0)}` +
    `,"status_message":${textJson(span.status?.message ?? "")}` +
    `,"attributes":${attributesJson(span.attributes)}` +
    `,"events":${listJson(span.events, eventJson)}` +
    `,"links":${listJson(span.links, linkJson)}`
  );
}

function eventJson({ timeUnixNano, name, attributes }: SpanEvent): string {
  return `{"timestamp":${timeJson(timeUnixNano)},"name":${textJson(name)},"attributes":${attributesJson(attributes)}}`;
}

function linkJson({ traceId, spanId, traceState, attributes, flags }: SpanLink): string {
  return (
    `{"trace_id":${idJson(traceId)},"span_id":${idJson(spanId)},"trace_state":${textJson(traceState)}` +
    `,"attributes":${attributesJson(attributes)},"flags":${flags}}`
  );
}
