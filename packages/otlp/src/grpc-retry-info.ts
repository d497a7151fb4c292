// `grpc-status-details-bin`: the status once more, with what gRPC has no field for: when to try again.
import { encodeBinaryValue, STATUS_CODES, type StatusCode } from "@millrace/grpc";
import { bytes, encode, int32, int64, message, optional, repeated, string } from "@millrace/protobuf";

interface Duration {
  readonly seconds: number;
}
const duration = message<Duration>({ seconds: int64(1) });

interface RetryInfo {
  readonly retryDelay?: Duration;
}
const retryInfo = message<RetryInfo>({ retryDelay: optional(1, duration) });

/** google.protobuf.Any */
interface Detail {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}
const detailTable = message<Detail>({ typeUrl: string(1), value: bytes(2) });

interface Status {
  readonly code: number;
  readonly message: string;
  readonly details: readonly Detail[];
}
const status = message<Status>({ code: int32(1), message: string(2), details: repeated(3, detailTable) });

/** The value of `grpc-status-details-bin` that says to try again after `seconds`. */
export function retryDetails(code: StatusCode, text: string, seconds: number): string {
  const value = encode(retryInfo, { retryDelay: { seconds } });
  const detail = { typeUrl: "type.googleapis.com/google.rpc.RetryInfo", value };
  return encodeBinaryValue(encode(status, { code: STATUS_CODES[code], message: text, details: [detail] }));
}
