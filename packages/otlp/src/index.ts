export { recordsOf, type OtlpEncoding } from "./export-request.ts";
export type { FlatRecords, Signal } from "./flat-records.ts";
export { FLATTEN_LIMITS, type FlattenLimits } from "./limits.ts";
export {
  encodeResponse,
  isRejected,
  rejectionText,
  type ExportFailure,
  type ExportOutcome,
} from "./partial-success.ts";
export type { Gunzipped, OtlpPorts, OtlpRefusal, SourceFound } from "./otlp-door.ts";
export {
  exportOverHttp,
  otlpHttpTarget,
  type OtlpHttpAnswer,
  type OtlpHttpHead,
  type OtlpHttpOutcome,
  type OtlpHttpPorts,
  type OtlpHttpRequest,
  type OtlpHttpTarget,
  type SourceLocator,
} from "./otlp-http.ts";
export { OTLP_GRPC_ENCODINGS, otlpHandlers, type AnsweredExport, type OtlpGrpcPorts } from "./otlp-grpc.ts";
