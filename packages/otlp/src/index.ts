export { recordsOf, type RequestWalk } from "./export-request.ts";
export type { OtlpEncoding } from "./part-opening.ts";
export type { FlatRecords, Signal } from "./flat-records.ts";
export { FLATTEN_LIMITS, type FlattenLimits } from "./limits.ts";
export {
  encodeResponse,
  isRejected,
  rejectionText,
  type ExportFailure,
  type ExportOutcome,
} from "./partial-success.ts";
export type { Gunzipped, OtlpPorts, OtlpRefusal, SourceFound, Walked } from "./otlp-door.ts";
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
