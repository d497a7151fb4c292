// A record for each span, with its resource and scope; its events and links stay within it.
import { attributesJson, enumJson, hasId, idJson, listJson, textJson, timeJson } from "./flat-json.ts";
import {
  exportTracesRequest,
  type Span,
  type SpanEvent,
  type SpanLink,
  TRACES_NAMES,
} from "./otlp-traces.ts";
import type { SignalParts } from "./signal-parts.ts";

const KINDS = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];
const STATUSES = ["Unset", "Ok", "Error"];

export const TRACES: SignalParts<Span> = {
  names: TRACES_NAMES,
  request: exportTracesRequest,
  records: (items, index, { opening, path, origin }) => {
    const span = opening.part(items, index, path);
    return { count: 1, json: () => `{${spanJson(span)},${origin}}` };
  },
};

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
