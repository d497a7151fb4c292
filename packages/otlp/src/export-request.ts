// A request of any signal, in either encoding, to records.
import { strictText } from "@millrace/base";
import { decode, invalid, type Message } from "@millrace/protobuf";
import { parseExactJson } from "./exact-json.ts";
import { type FlatRecords, FlatWriter, type Signal } from "./flat-records.ts";
import { flattenLogs } from "./flatten-logs.ts";
import { flattenMetrics } from "./flatten-metrics.ts";
import { flattenTraces } from "./flatten-traces.ts";
import type { FlattenLimits } from "./limits.ts";
import { exportLogsRequest } from "./otlp-logs.ts";
import { exportMetricsRequest } from "./otlp-metrics.ts";
import { exportTracesRequest } from "./otlp-traces.ts";

export type OtlpEncoding = "protobuf" | "json";

/**
 * The records of a request's body. All or nothing: what is refused here was given to nobody.
 * @throws {WireError} INVALID_ARGUMENT that names the field or the position; TOO_LARGE with value and bound
 */
export function recordsOf(
  { signal, encoding }: { readonly signal: Signal; readonly encoding: OtlpEncoding },
  body: Uint8Array,
  limits: FlattenLimits,
): FlatRecords {
  const out = new FlatWriter(limits);
  switch (signal) {
    case "logs":
      flattenLogs(read(exportLogsRequest, encoding, body), out);
      break;
    case "metrics":
      flattenMetrics(read(exportMetricsRequest, encoding, body), out);
      break;
    case "traces":
      flattenTraces(read(exportTracesRequest, encoding, body), out);
      break;
  }
  return out.finish(signal);
}

/** OTLP's JSON is protobuf's, but for ids, which are hex digits, and names that are not known, which are skipped. */
function read<M>(message: Message<M>, encoding: OtlpEncoding, body: Uint8Array): M {
  if (encoding === "protobuf") return decode(message, body);
  return message.fromJson(parseExactJson(strictText(body) ?? invalid("invalid JSON: not UTF-8")));
}
