// How failures end calls of the gRPC door. Gazette answers with plain errors, code Unknown and the text, and its
// clients look at two things: whether the code is Unavailable, which they try again elsewhere, and the text.
import type { Code, WireError } from "@millrace/base";
import type { StatusCode } from "@millrace/grpc";

const STATUS: Partial<Record<Code, StatusCode>> = {
  UNAUTHENTICATED: "UNAUTHENTICATED",
  FORBIDDEN: "PERMISSION_DENIED",
  // Nothing was written, and a later attempt or another broker may do.
  UNAVAILABLE: "UNAVAILABLE",
  SHUTTING_DOWN: "UNAVAILABLE",
  NOT_PRIMARY: "UNAVAILABLE",
  OVERLOADED: "RESOURCE_EXHAUSTED",
  DISK_FULL: "RESOURCE_EXHAUSTED",
  METHOD_NOT_ALLOWED: "UNIMPLEMENTED",
  INTERNAL: "INTERNAL",
  CORRUPT: "DATA_LOSS",
};

/** UNKNOWN for all that is about the request, and for an outcome that is unknown: nobody may try it again unasked. */
export function statusCodeOf({ code }: WireError): StatusCode {
  return STATUS[code] ?? "UNKNOWN";
}
