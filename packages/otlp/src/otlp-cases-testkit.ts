// Requests in OTLP's JSON, and the records that they become. `otlp.golden.txt` has the same requests in protobuf, as
// the official definitions encode them.
import type { Signal } from "./index.ts";

export interface OtlpCase {
  readonly name: string;
  readonly signal: Signal;
  readonly request: object;
  readonly records: readonly string[];
}

const RESOURCE = {
  attributes: [
    { key: "service.name", value: { stringValue: "checkout" } },
    { key: "host", value: { kvlistValue: { values: [{ key: "cpus", value: { intValue: "8" } }] } } },
  ],
  droppedAttributesCount: 1,
};
const SCOPE = { name: "lib", version: "1.2", attributes: [{ key: "x", value: { boolValue: true } }] };
const ORIGIN =
  '"resource":{"service.name":"checkout","host":{"cpus":8}},"scope":{"name":"lib","version":"1.2"}';
const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "00f067aa0ba902b7";

function metrics(...list: readonly object[]): object {
  return { resourceMetrics: [{ resource: RESOURCE, scopeMetrics: [{ scope: SCOPE, metrics: list }] }] };
}

function metricHead(type: string): string {
  return `{"metric_name":"m","metric_description":"d","metric_unit":"By","metric_type":"${type}",${ORIGIN}`;
}
const METRIC = { name: "m", description: "d", unit: "By" };
const TIMES = { startTimeUnixNano: "1700000000000000000", timeUnixNano: "1700000000123456789" };
const TIMES_JSON = '"start_timestamp":"2023-11-14T22:13:20Z","timestamp":"2023-11-14T22:13:20.123456789Z"';

const LOGS: readonly OtlpCase[] = [
  {
    name: "a log record with everything",
    signal: "logs",
    request: {
      resourceLogs: [
        {
          resource: RESOURCE,
          schemaUrl: "https://example.com/1",
          scopeLogs: [
            {
              scope: SCOPE,
              logRecords: [
                {
                  timeUnixNano: "1700000000500000000",
                  observedTimeUnixNano: "1700000001000000001",
                  severityNumber: "SEVERITY_NUMBER_WARN2",
                  severityText: "warn",
                  body: { stringValue: 'gr\u00fc\u00df "Gott"\n' },
                  attributes: [
                    { key: "http.status_code", value: { intValue: "9007199254740993" } },
                    { key: "least", value: { intValue: "-9223372036854775808" } },
                    { key: "ratio", value: { doubleValue: 0.1 } },
                    { key: "whole", value: { doubleValue: 3 } },
                    { key: "beyond", value: { doubleValue: "-Infinity" } },
                    { key: "no number", value: { doubleValue: "NaN" } },
                    { key: "ok", value: { boolValue: false } },
                    { key: "blob", value: { bytesValue: "AAH/" } },
                    {
                      key: "list",
                      value: { arrayValue: { values: [{ stringValue: "" }, {}, { intValue: "0" }] } },
                    },
                    { key: "empty", value: { arrayValue: {} } },
                    { key: "nothing" },
                  ],
                  droppedAttributesCount: 2,
                  flags: 1,
                  traceId: TRACE_ID,
                  spanId: SPAN_ID,
                },
              ],
            },
          ],
        },
      ],
    },
    records: [
      '{"timestamp":"2023-11-14T22:13:20.5Z","observed_timestamp":"2023-11-14T22:13:21.000000001Z",' +
        '"severity_number":14,"severity_text":"warn","body":"gr\u00fc\u00df \\"Gott\\"\\n","flags":1,' +
        `"trace_id":"${TRACE_ID}","span_id":"${SPAN_ID}",` +
        '"attributes":{"http.status_code":9007199254740993,"least":-9223372036854775808,"ratio":0.1,"whole":3,' +
        '"beyond":"-Infinity","no number":"NaN","ok":false,"blob":"AAH/",' +
        '"list":["",null,0],"empty":[],"nothing":null},' +
        `${ORIGIN}}`,
    ],
  },
  {
    name: "log records without anything, of several resources and scopes",
    signal: "logs",
    request: {
      resourceLogs: [
        { scopeLogs: [{ logRecords: [{}] }, { scope: { name: "s" }, logRecords: [{ severityNumber: 77 }] }] },
        { resource: { attributes: [{ key: "a" }] }, scopeLogs: [] },
        {
          resource: { attributes: [{ key: "b", value: { boolValue: true } }] },
          scopeLogs: [{ logRecords: [{ traceId: "0".repeat(32), body: { kvlistValue: {} } }] }],
        },
      ],
    },
    records: [
      '{"timestamp":"","observed_timestamp":"","severity_number":0,"severity_text":"","body":null,"flags":0,' +
        '"attributes":{},"resource":{},"scope":{"name":"","version":""}}',
      '{"timestamp":"","observed_timestamp":"","severity_number":77,"severity_text":"","body":null,"flags":0,' +
        '"attributes":{},"resource":{},"scope":{"name":"s","version":""}}',
      '{"timestamp":"","observed_timestamp":"","severity_number":0,"severity_text":"","body":{},"flags":0,' +
        '"attributes":{},"resource":{"b":true},"scope":{"name":"","version":""}}',
    ],
  },
  {
    name: "an attribute given twice",
    signal: "logs",
    request: {
      resourceLogs: [
        {
          scopeLogs: [
            {
              logRecords: [
                {
                  attributes: [
                    { key: "a", value: { intValue: "1" } },
                    { key: "b", value: { intValue: "2" } },
                    { key: "a", value: { intValue: "3" } },
                  ],
                },
              ],
            },
          ],
        },
      ],
    },
    records: [
      '{"timestamp":"","observed_timestamp":"","severity_number":0,"severity_text":"","body":null,"flags":0,' +
        '"attributes":{"a":3,"b":2},"resource":{},"scope":{"name":"","version":""}}',
    ],
  },
];

const METRICS: readonly OtlpCase[] = [
  {
    name: "gauge: a double, an int, none",
    signal: "metrics",
    request: metrics({
      ...METRIC,
      gauge: {
        dataPoints: [
          { ...TIMES, asDouble: -0.5, attributes: [{ key: "core", value: { intValue: "0" } }] },
          { timeUnixNano: TIMES.timeUnixNano, asInt: "-9007199254740993" },
          { ...TIMES, flags: 1 },
        ],
      },
    }),
    records: [
      `${metricHead("gauge")},${TIMES_JSON},"attributes":{"core":0},"value":-0.5}`,
      `${metricHead("gauge")},"start_timestamp":"","timestamp":"2023-11-14T22:13:20.123456789Z",` +
        '"attributes":{},"value":-9007199254740993}',
      `${metricHead("gauge")},${TIMES_JSON},"attributes":{},"value":null}`,
    ],
  },
  {
    name: "sum",
    signal: "metrics",
    request: metrics({
      ...METRIC,
      sum: {
        aggregationTemporality: "AGGREGATION_TEMPORALITY_CUMULATIVE",
        isMonotonic: true,
        dataPoints: [
          { ...TIMES, asInt: "0" },
          { ...TIMES, asDouble: 1e21 },
        ],
      },
    }),
    records: ["0", "1e+21"].map(
      (value) =>
        `${metricHead("sum")},${TIMES_JSON},"attributes":{},"value":${value},` +
        '"is_monotonic":true,"aggregation_temporality":"Cumulative"}',
    ),
  },
  {
    name: "histogram: with and without sum, min and max; counts beyond int64",
    signal: "metrics",
    request: metrics({
      ...METRIC,
      histogram: {
        aggregationTemporality: 1,
        dataPoints: [
          {
            ...TIMES,
            count: "18446744073709551615",
            sum: 0,
            min: -1.5,
            max: 2,
            bucketCounts: ["1", "9223372036854775808", "2"],
            explicitBounds: [0, 10.25],
            exemplars: [{ asInt: "3", timeUnixNano: "1" }],
          },
          { ...TIMES },
        ],
      },
    }),
    records: [
      `${metricHead("histogram")},${TIMES_JSON},"attributes":{},"count":9223372036854775807,"sum":0,"min":-1.5,` +
        '"max":2,"bucket_counts":[1,9223372036854775807,2],"explicit_bounds":[0,10.25],' +
        '"aggregation_temporality":"Delta"}',
      `${metricHead("histogram")},${TIMES_JSON},"attributes":{},"count":0,"bucket_counts":[],"explicit_bounds":[],` +
        '"aggregation_temporality":"Delta"}',
    ],
  },
  {
    name: "exponential histogram: buckets are kept",
    signal: "metrics",
    request: metrics({
      ...METRIC,
      exponentialHistogram: {
        aggregationTemporality: 7,
        dataPoints: [
          {
            ...TIMES,
            count: "7",
            sum: 1.5,
            scale: -3,
            zeroCount: "2",
            zeroThreshold: 0.001,
            positive: { offset: -2, bucketCounts: ["1", "300"] },
            negative: { bucketCounts: ["4"] },
            min: 0,
            max: 9,
          },
          { ...TIMES, count: "1", scale: 20 },
        ],
      },
    }),
    records: [
      `${metricHead("exponential_histogram")},${TIMES_JSON},"attributes":{},"count":7,"sum":1.5,"min":0,"max":9,` +
        '"scale":-3,"zero_count":2,"positive":{"offset":-2,"bucket_counts":[1,300]},' +
        '"negative":{"offset":0,"bucket_counts":[4]},"aggregation_temporality":"7"}',
      `${metricHead("exponential_histogram")},${TIMES_JSON},"attributes":{},"count":1,"scale":20,"zero_count":0,` +
        '"positive":{"offset":0,"bucket_counts":[]},"negative":{"offset":0,"bucket_counts":[]},' +
        '"aggregation_temporality":"7"}',
    ],
  },
  {
    name: "summary",
    signal: "metrics",
    request: metrics({
      ...METRIC,
      summary: {
        dataPoints: [
          {
            ...TIMES,
            count: "3",
            sum: 4.5,
            quantileValues: [{ quantile: 0.5, value: 1 }, { quantile: 1 }],
          },
        ],
      },
    }),
    records: [
      `${metricHead("summary")},${TIMES_JSON},"attributes":{},"count":3,"sum":4.5,` +
        '"quantile_values":[{"quantile":0.5,"value":1},{"quantile":1,"value":0}]}',
    ],
  },
  {
    name: "metrics without data, or without points -> no record",
    signal: "metrics",
    request: metrics(METRIC, { ...METRIC, gauge: {} }),
    records: [],
  },
];

const TRACES: readonly OtlpCase[] = [
  {
    name: "a span with everything, and one with nothing",
    signal: "traces",
    request: {
      resourceSpans: [
        {
          resource: RESOURCE,
          scopeSpans: [
            {
              scope: SCOPE,
              spans: [
                {
                  traceId: TRACE_ID,
                  spanId: SPAN_ID,
                  traceState: "a=b",
                  parentSpanId: "0102030405060708",
                  flags: 257,
                  name: "GET /",
                  kind: "SPAN_KIND_SERVER",
                  startTimeUnixNano: "1700000000000000000",
                  endTimeUnixNano: "18446744073709551615",
                  attributes: [{ key: "http.method", value: { stringValue: "GET" } }],
                  events: [
                    {
                      timeUnixNano: "1700000000000000001",
                      name: "exception",
                      attributes: [{ key: "n", value: { intValue: "1" } }],
                    },
                    {},
                  ],
                  links: [{ traceId: TRACE_ID, spanId: SPAN_ID, traceState: "c=d", flags: 1 }, {}],
                  status: { message: "no", code: "STATUS_CODE_ERROR" },
                },
                {},
                { kind: 9, status: { code: 1 } },
              ],
            },
          ],
        },
      ],
    },
    records: [
      '{"timestamp":"2023-11-14T22:13:20Z","end_timestamp":"2554-07-21T23:34:33.709551615Z",' +
        `"trace_id":"${TRACE_ID}","span_id":"${SPAN_ID}","parent_span_id":"0102030405060708","trace_state":"a=b",` +
        '"name":"GET /","kind":"Server","flags":257,"status_code":"Error","status_message":"no",' +
        '"attributes":{"http.method":"GET"},' +
        '"events":[{"timestamp":"2023-11-14T22:13:20.000000001Z","name":"exception","attributes":{"n":1}},' +
        '{"timestamp":"","name":"","attributes":{}}],' +
        `"links":[{"trace_id":"${TRACE_ID}","span_id":"${SPAN_ID}","trace_state":"c=d","attributes":{},"flags":1},` +
        '{"trace_id":"","span_id":"","trace_state":"","attributes":{},"flags":0}],' +
        `${ORIGIN}}`,
      ...[
        ["Unspecified", "Unset"],
        ["9", "Ok"],
      ].map(
        ([kind, status]) =>
          '{"timestamp":"","end_timestamp":"","trace_id":"","span_id":"","trace_state":"","name":"",' +
          `"kind":"${kind}","flags":0,"status_code":"${status}","status_message":"","attributes":{},` +
          `"events":[],"links":[],${ORIGIN}}`,
      ),
    ],
  },
];

export const CASES: readonly OtlpCase[] = [...LOGS, ...METRICS, ...TRACES];
