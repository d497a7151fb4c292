// Records to try a mapping with: what a source of each kind takes in, and in OTLP what becomes of each signal.
import type { Signal } from "./stream-definitions.ts";

export interface Sample {
  readonly type: string;
  readonly body: string;
}

export const SAMPLE_TYPES = [
  "application/json",
  "application/x-ndjson",
  "application/x-www-form-urlencoded",
  "text/plain",
] as const;

const JSON_TYPE = SAMPLE_TYPES[0];
const scope = { name: "http", version: "1.0" };
const resource = { "service.name": "shop" };
const timestamp = "2026-01-02T03:04:05.678Z";

const FLAT: Readonly<Record<Signal, object>> = {
  logs: {
    timestamp,
    severity_number: 9,
    severity_text: "INFO",
    body: "order placed",
    attributes: { order: 7 },
    resource,
  },
  metrics: {
    metric_name: "orders",
    metric_unit: "1",
    metric_type: "sum",
    value: 7,
    is_monotonic: true,
    timestamp,
    attributes: {},
    resource,
    scope,
  },
  traces: {
    trace_id: "5b8efff798038103d269b633813fc60c",
    span_id: "eee19b7ec3c1b174",
    name: "POST /orders",
    kind: 2,
    status_code: 1,
    timestamp,
    end_timestamp: "2026-01-02T03:04:05.689Z",
    attributes: { "http.status": 200 },
    resource,
    scope,
  },
};

/** A record of an HTTP source. */
export const HTTP_SAMPLE: Sample = {
  type: JSON_TYPE,
  body: '{"hello":"millrace","order":{"id":7,"items":["a","b"]}}',
};

/** A flat record of a signal, as it is mapped. */
export function signalSample(signal: Signal): Sample {
  return { type: JSON_TYPE, body: JSON.stringify(FLAT[signal], null, 2) };
}
