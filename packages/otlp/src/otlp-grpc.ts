// OTLP over gRPC: one method a signal. Its paths name no source: the secret in `authorization: Bearer` is all there is.
//
// G1 A call without the right secret is refused before its message is read.
// G2 What may be sent again later is UNAVAILABLE with the delay (google.rpc.RetryInfo): clients repeat other codes only
//    with it, and not at all what is wrong with the records.
import {
  type CallHandler,
  type CallHandlers,
  RpcError,
  type ServerCall,
  type StatusCode,
  unary,
} from "@millrace/grpc";
import { exportBody } from "./export-body.ts";
import type { Signal } from "./flat-records.ts";
import { retryDetails } from "./grpc-retry-info.ts";
import type { OtlpPorts, OtlpRefusal, SourceFound } from "./otlp-door.ts";
import { encodeResponse, isRejected, rejectionText } from "./partial-success.ts";

export interface OtlpGrpcPorts<S> extends OtlpPorts<S> {
  /** In a time that does not tell how much of the secret is right. @param call that has the secret, and the records */
  findBySecret(secret: string, call: ServerCall): SourceFound<S>;
  /** Called for each export of a source that was found, when it is known what its client is told. */
  onAnswered(source: S, answered: AnsweredExport): void;
}

export interface AnsweredExport {
  /** Of the message, as it came. */
  readonly receivedBytes: number;
  /** Nothing of it was taken. */
  readonly isFailed: boolean;
}

/** `grpc-encoding` that the handlers open themselves: for GrpcServerOptions.passEncodings. */
export const OTLP_GRPC_ENCODINGS: readonly string[] = ["gzip"];

const METHODS: readonly (readonly [signal: Signal, path: string])[] = [
  ["logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"],
  ["metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"],
  ["traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"],
];
const BEARER = /^Bearer +(\S+) *$/i;

export function otlpHandlers<S>(ports: OtlpGrpcPorts<S>): CallHandlers {
  return new Map(METHODS.map(([signal, path]) => [path, exportHandler(signal, ports)]));
}

function exportHandler<S>(signal: Signal, ports: OtlpGrpcPorts<S>): CallHandler {
  return (call) => {
    const source = sourceOf(call, ports); // G1
    const handler = unary(async (request, { isCompressed }) => {
      const body = { signal, encoding: "protobuf", isGzip: isCompressed, bytes: request } as const;
      const receivedBytes = request.length;
      const exported = await exportBody(source, body, ports);
      const isFailed = exported.kind === "refused" || isRejected(exported.outcome);
      ports.onAnswered(source, { receivedBytes, isFailed });
      if (exported.kind === "refused") throw rpcError(exported.refusal);
      const { outcome } = exported;
      if (!isFailed) return encodeResponse(signal, "protobuf", outcome);
      throw rpcError({ status: 500, ...outcome.failure, message: rejectionText(outcome) });
    });
    return handler(call);
  };
}

function sourceOf<S>(call: ServerCall, ports: OtlpGrpcPorts<S>): S {
  const secret = BEARER.exec(call.metadata.get("authorization") ?? "")?.[1];
  if (secret === undefined) {
    throw new RpcError(
      "UNAUTHENTICATED",
      "the source's secret is missing: metadata authorization: Bearer <secret>",
    );
  }
  const found = ports.findBySecret(secret, call);
  if (found.kind === "refused") throw rpcError(found.refusal);
  return found.source;
}

function rpcError({ status, message, retryAfter }: Omit<OtlpRefusal, "name">): RpcError {
  if (retryAfter === undefined && status !== 429) return new RpcError(codeOf(status), message);
  const details = retryDetails("UNAVAILABLE", message, retryAfter ?? 1);
  return new RpcError("UNAVAILABLE", message, { trailers: new Map([["grpc-status-details-bin", details]]) }); // G2
}

function codeOf(status: number): StatusCode {
  if (status === 404) return "NOT_FOUND";
  if (status === 503) return "UNAVAILABLE";
  if (status === 413) return "RESOURCE_EXHAUSTED"; // Without a delay clients do not repeat it.
  return status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
}
