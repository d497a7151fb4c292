// opentelemetry.proto.metrics.v1 and its collector service, as far as records are made of it.
import {
  bool,
  double,
  doubles,
  fixed64,
  fixed64s,
  type Message,
  openEnumeration,
  optional,
  present,
  repeated,
  sint32,
  string,
  uint64s,
  type Unopened,
  unopened,
} from "@millrace/protobuf";
import { type RequestParts, requestOf } from "./otlp-outline.ts";
import { type KeyValue, keyValue, otlpMessage } from "./otlp-values.ts";

const TEMPORALITY = {
  AGGREGATION_TEMPORALITY_UNSPECIFIED: 0,
  AGGREGATION_TEMPORALITY_DELTA: 1,
  AGGREGATION_TEMPORALITY_CUMULATIVE: 2,
} as const;

/** What points of every kind have. */
export interface DataPoint {
  readonly attributes: readonly KeyValue[];
  readonly startTimeUnixNano: bigint;
  readonly timeUnixNano: bigint;
}

export interface NumberDataPoint extends DataPoint {
  readonly asDouble?: number;
  readonly asInt?: bigint;
}
const numberDataPoint = otlpMessage<NumberDataPoint>(
  {
    startTimeUnixNano: fixed64(2),
    timeUnixNano: fixed64(3),
    asDouble: present.double(4),
    asInt: present.sfixed64(6),
    attributes: repeated(7, keyValue),
  },
  [["asDouble", "asInt"]],
);

/** What points of both kinds of histograms have. */
export interface Distribution extends DataPoint {
  readonly count: bigint;
  readonly sum?: number;
  readonly min?: number;
  readonly max?: number;
}

export interface HistogramDataPoint extends Distribution {
  readonly bucketCounts: readonly bigint[];
  readonly explicitBounds: readonly number[];
}
const histogramDataPoint = otlpMessage<HistogramDataPoint>({
  startTimeUnixNano: fixed64(2),
  timeUnixNano: fixed64(3),
  count: fixed64(4),
  sum: present.double(5),
  bucketCounts: fixed64s(6),
  explicitBounds: doubles(7),
  attributes: repeated(9, keyValue),
  min: present.double(11),
  max: present.double(12),
});

export interface Buckets {
  readonly offset: number;
  readonly bucketCounts: readonly bigint[];
}
const buckets = otlpMessage<Buckets>({ offset: sint32(1), bucketCounts: uint64s(2) });

export interface ExponentialHistogramDataPoint extends Distribution {
  readonly scale: number;
  readonly zeroCount: bigint;
  readonly positive?: Buckets;
  readonly negative?: Buckets;
}
const exponentialHistogramDataPoint = otlpMessage<ExponentialHistogramDataPoint>({
  attributes: repeated(1, keyValue),
  startTimeUnixNano: fixed64(2),
  timeUnixNano: fixed64(3),
  count: fixed64(4),
  sum: present.double(5),
  scale: sint32(6),
  zeroCount: fixed64(7),
  positive: optional(8, buckets),
  negative: optional(9, buckets),
  min: present.double(12),
  max: present.double(13),
});

export interface ValueAtQuantile {
  readonly quantile: number;
  readonly value: number;
}
const valueAtQuantile = otlpMessage<ValueAtQuantile>({ quantile: double(1), value: double(2) });

export interface SummaryDataPoint extends DataPoint {
  readonly count: bigint;
  readonly sum: number;
  readonly quantileValues: readonly ValueAtQuantile[];
}
const summaryDataPoint = otlpMessage<SummaryDataPoint>({
  startTimeUnixNano: fixed64(2),
  timeUnixNano: fixed64(3),
  count: fixed64(4),
  sum: double(5),
  quantileValues: repeated(6, valueAtQuantile),
  attributes: repeated(7, keyValue),
});

interface Points<P> {
  readonly dataPoints: Unopened<P>;
}

interface Aggregated {
  readonly aggregationTemporality: number;
}
const aggregationTemporality = openEnumeration(2, TEMPORALITY, "aggregation temporality");

interface Sum extends Points<NumberDataPoint>, Aggregated {
  readonly isMonotonic: boolean;
}

/** At most one kind of data. */
export interface Metric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly gauge?: Points<NumberDataPoint>;
  readonly sum?: Sum;
  readonly histogram?: Points<HistogramDataPoint> & Aggregated;
  readonly exponentialHistogram?: Points<ExponentialHistogramDataPoint> & Aggregated;
  readonly summary?: Points<SummaryDataPoint>;
}
const gauge = otlpMessage<Points<NumberDataPoint>>({ dataPoints: unopened(1, numberDataPoint) });
const sum = otlpMessage<Sum>({
  dataPoints: unopened(1, numberDataPoint),
  aggregationTemporality,
  isMonotonic: bool(3),
});
const histogram = otlpMessage<Points<HistogramDataPoint> & Aggregated>({
  dataPoints: unopened(1, histogramDataPoint),
  aggregationTemporality,
});
const exponentialHistogram = otlpMessage<Points<ExponentialHistogramDataPoint> & Aggregated>({
  dataPoints: unopened(1, exponentialHistogramDataPoint),
  aggregationTemporality,
});
const summary = otlpMessage<Points<SummaryDataPoint>>({ dataPoints: unopened(1, summaryDataPoint) });
const metric = otlpMessage<Metric>(
  {
    name: string(1),
    description: string(2),
    unit: string(3),
    gauge: optional(5, gauge),
    sum: optional(7, sum),
    histogram: optional(9, histogram),
    exponentialHistogram: optional(10, exponentialHistogram),
    summary: optional(11, summary),
  },
  [["gauge", "sum", "histogram", "exponentialHistogram", "summary"]],
);

export const METRICS_NAMES = {
  groups: "resource_metrics",
  scopes: "scope_metrics",
  items: "metrics",
} as const;
export const exportMetricsRequest: Message<RequestParts<Metric>> = requestOf(METRICS_NAMES, metric);
