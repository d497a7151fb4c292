// A record for each data point, with its metric, resource and scope. What a kind of metric has not, its records have
// not either: columns then take their defaults.
import {
  attributesJson,
  countJson,
  doubleJson,
  enumJson,
  listJson,
  resourceJson,
  scopeJson,
  textJson,
  timeJson,
} from "./flat-json.ts";
import type { FlatWriter } from "./flat-records.ts";
import type {
  Buckets,
  DataPoint,
  Distribution,
  ExponentialHistogramDataPoint,
  ExportMetricsRequest,
  HistogramDataPoint,
  Metric,
  NumberDataPoint,
  SummaryDataPoint,
  ValueAtQuantile,
} from "./otlp-metrics.ts";

const TEMPORALITIES = ["Unspecified", "Delta", "Cumulative"];
const NO_BUCKETS: Buckets = { offset: 0, bucketCounts: [] };

export function flattenMetrics({ resourceMetrics }: ExportMetricsRequest, out: FlatWriter): void {
  for (const { resource, scopeMetrics } of resourceMetrics) {
    const resourceText = resourceJson(resource);
    for (const { scope, metrics } of scopeMetrics) {
      const origin = `"resource":${resourceText},"scope":${scopeJson(scope)}`;
      for (const metric of metrics) flattenMetric(metric, origin, out);
    }
  }
}

function flattenMetric(metric: Metric, origin: string, out: FlatWriter): void {
  const { gauge, sum, histogram, exponentialHistogram, summary } = metric;
  const add = <P extends DataPoint>(
    type: string,
    points: readonly P[],
    valuesJson: (point: P) => string,
    ofMetric = "",
  ): void => {
    const head = `{${metricJson(metric, type)},${origin}`;
    for (const point of points) out.add(`${head},${pointJson(point)},${valuesJson(point)}${ofMetric}}`);
  };
  if (gauge !== undefined) add("gauge", gauge.dataPoints, numberJson);
  else if (sum !== undefined) {
    add("sum", sum.dataPoints, numberJson, `,"is_monotonic":${sum.isMonotonic}${temporalityJson(sum)}`);
  } else if (histogram !== undefined) {
    add("histogram", histogram.dataPoints, histogramJson, temporalityJson(histogram));
  } else if (exponentialHistogram !== undefined) {
    const { dataPoints } = exponentialHistogram;
    add("exponential_histogram", dataPoints, exponentialJson, temporalityJson(exponentialHistogram));
  } else if (summary !== undefined) add("summary", summary.dataPoints, summaryJson);
}

function metricJson({ name, description, unit }: Metric, type: string): string {
  return (
    `"metric_name":${textJson(name)},"metric_description":${textJson(description)}` +
    `,"metric_unit":${textJson(unit)},"metric_type":"${type}"`
  );
}

function pointJson({ startTimeUnixNano, timeUnixNano, attributes }: DataPoint): string {
  return (
    `"start_timestamp":${timeJson(startTimeUnixNano)},"timestamp":${timeJson(timeUnixNano)}` +
    `,"attributes":${attributesJson(attributes)}`
  );
}

/** No value at all is null, which is not 0. */
function numberJson({ asInt, asDouble }: NumberDataPoint): string {
  if (asInt !== undefined) return `"value":${asInt}`;
  return `"value":${asDouble === undefined ? "null" : doubleJson(asDouble)}`;
}

function distributionJson({ count, sum, min, max }: Distribution): string {
  return (
    `"count":${countJson(count)}` +
    (sum === undefined ? "" : `,"sum":${doubleJson(sum)}`) +
    (min === undefined ? "" : `,"min":${doubleJson(min)}`) +
    (max === undefined ? "" : `,"max":${doubleJson(max)}`)
  );
}

function histogramJson(point: HistogramDataPoint): string {
  return (
    `${distributionJson(point)},"bucket_counts":${listJson(point.bucketCounts, countJson)}` +
    `,"explicit_bounds":${listJson(point.explicitBounds, doubleJson)}`
  );
}

function exponentialJson(point: ExponentialHistogramDataPoint): string {
  const { scale, zeroCount, positive = NO_BUCKETS, negative = NO_BUCKETS } = point;
  return (
    `${distributionJson(point)},"scale":${scale},"zero_count":${countJson(zeroCount)}` +
    `,"positive":${bucketsJson(positive)},"negative":${bucketsJson(negative)}`
  );
}

function bucketsJson({ offset, bucketCounts }: Buckets): string {
  return `{"offset":${offset},"bucket_counts":${listJson(bucketCounts, countJson)}}`;
}

function summaryJson({ count, sum, quantileValues }: SummaryDataPoint): string {
  return (
    `"count":${countJson(count)},"sum":${doubleJson(sum)}` +
    `,"quantile_values":${listJson(quantileValues, quantileJson)}`
  );
}

function quantileJson({ quantile, value }: ValueAtQuantile): string {
  return `{"quantile":${doubleJson(quantile)},"value":${doubleJson(value)}}`;
}

function temporalityJson({ aggregationTemporality }: { readonly aggregationTemporality: number }): string {
  return `,"aggregation_temporality":${enumJson(TEMPORALITIES, aggregationTemporality)}`;
}
