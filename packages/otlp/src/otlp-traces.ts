// opentelemetry.proto.trace.v1 and its collector service, as far as records are made of it.
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
import { type KeyValue, keyValue, otlpMessage, SPAN_ID_BYTES, TRACE_ID_BYTES } from "./otlp-values.ts";

const SPAN_KIND = {
  SPAN_KIND_UNSPECIFIED: 0,
  SPAN_KIND_INTERNAL: 1,
  SPAN_KIND_SERVER: 2,
  SPAN_KIND_CLIENT: 3,
  SPAN_KIND_PRODUCER: 4,
  SPAN_KIND_CONSUMER: 5,
} as const;

const STATUS_CODE = { STATUS_CODE_UNSET: 0, STATUS_CODE_OK: 1, STATUS_CODE_ERROR: 2 } as const;

export interface SpanEvent {
  readonly timeUnixNano: bigint;
  readonly name: string;
  readonly attributes: readonly KeyValue[];
}
const spanEvent = otlpMessage<SpanEvent>({
  timeUnixNano: fixed64(1),
  name: string(2),
  attributes: repeated(3, keyValue),
});

export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState: string;
  readonly attributes: readonly KeyValue[];
  readonly flags: number;
}
const spanLink = otlpMessage<SpanLink>({
  traceId: hexId(1, TRACE_ID_BYTES),
  spanId: hexId(2, SPAN_ID_BYTES),
  traceState: string(3),
  attributes: repeated(4, keyValue),
  flags: fixed32(6),
});

interface SpanStatus {
  readonly message: string;
  readonly code: number;
}
const spanStatus = otlpMessage<SpanStatus>({
  message: string(2),
  code: openEnumeration(3, STATUS_CODE, "status code"),
});

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: bigint;
  readonly endTimeUnixNano: bigint;
  readonly attributes: readonly KeyValue[];
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
  readonly status?: SpanStatus;
  readonly flags: number;
}
const span = otlpMessage<Span>({
  traceId: hexId(1, TRACE_ID_BYTES),
  spanId: hexId(2, SPAN_ID_BYTES),
  traceState: string(3),
  parentSpanId: hexId(4, SPAN_ID_BYTES),
  name: string(5),
  kind: openEnumeration(6, SPAN_KIND, "span kind"),
  startTimeUnixNano: fixed64(7),
  endTimeUnixNano: fixed64(8),
  attributes: repeated(9, keyValue),
  events: repeated(11, spanEvent),
  links: repeated(13, spanLink),
  status: optional(15, spanStatus),
  flags: fixed32(16),
});

export const TRACES_NAMES = { groups: "resource_spans", scopes: "scope_spans", items: "spans" } as const;
export const exportTracesRequest: Message<RequestParts<Span>> = requestOf(TRACES_NAMES, span);
