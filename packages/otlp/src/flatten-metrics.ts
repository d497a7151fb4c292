// A record for each data point, with its metric, resource and scope. What a kind of metric has not, its records have
// not either: columns then take their defaults.
import type { Unopened } from "@millrace/protobuf";
import {
  attributesJson,
  countJson,
  doubleJson,
  enumJson,
  listJson,
  textJson,
  timeJson,
} from "./flat-json.ts";
import {
  type Buckets,
  type DataPoint,
  type Distribution,
  type ExponentialHistogramDataPoint,
  exportMetricsRequest,
  type HistogramDataPoint,
  type Metric,
  METRICS_NAMES,
  type NumberDataPoint,
  type SummaryDataPoint,
  type ValueAtQuantile,
} from "./otlp-metrics.ts";
import type { ItemPlace, ItemRecords, SignalParts } from "./signal-parts.ts";

const TEMPORALITIES = ["Unspecified", "Delta", "Cumulative"];
const NO_BUCKETS: Buckets = { offset: 0, bucketCounts: [] };

const NO_RECORDS: ItemRecords = { count: 0, json: () => "" };

export const METRICS: SignalParts<Metric> = {
  names: METRICS_NAMES,
  request: exportMetricsRequest,
  records: (items, index, place) => pointsOf(place.opening.holder(items, index, place.path), place),
};

function pointsOf(metric: Metric, { opening, path, origin }: ItemPlace): ItemRecords {
  const { gauge, sum, histogram, exponentialHistogram, summary } = metric;
  const all = <P extends DataPoint>(
    type: string,
    points: Unopened<P>,
    valuesJson: (point: P) => string,
    ofMetric = "",
  ): ItemRecords => {
    const head = `{${metricJson(metric, type)},${origin}`;
    const inPoint = [...path, type, "data_points"];
    return {
      count: points.length,
      json: (index) => {
        const point = opening.part(points, index, inPoint);
        return `${head},${pointJson(point)},${valuesJson(point)}${ofMetric}}`;
      },
    };
  };
  if (gauge !== undefined) return all("gauge", gauge.dataPoints, numberJson);
  if (sum !== undefined) {
    const ofMetric = `,"is_monotonic":${sum.isMonotonic}${temporalityJson(sum)}`;
    return all("sum", sum.dataPoints, numberJson, ofMetric);
  }
  if (histogram !== undefined)
    return all("histogram", histogram.dataPoints, histogramJson, temporalityJson(histogram));
  if (exponentialHistogram !== undefined) {
    const { dataPoints } = exponentialHistogram;
    return all("exponential_histogram", dataPoints, exponentialJson, temporalityJson(exponentialHistogram));
  }
  return summary === undefined ? NO_RECORDS : all("summary", summary.dataPoints, summaryJson);
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
