// What a failed call of gRPC means in the project's own codes.
import { CODES, type Code } from "@millrace/base";
import type { RpcError } from "@millrace/grpc";

/** Trailer with our code for a failure, which says more than gRPC's: whether the outcome is unknown, for one. */
export const CODE_TRAILER = "millrace-code";

/** So a primary of Gazette's begins what it says when its peers could not be brought into sync: before any content. */
const NOT_IN_SYNC = "gatherSync: ";

/**
 * An append whose answer did not come has an unknown outcome, unless it is certain that no broker saw it.
 * @param isWhole what was sent of an append may have been committed
 * @param isValid the request was found to be in order before it was sent: what a broker then calls UNKNOWN is its own
 */
export function codeOfRpc(
  { code, message, trailers, maybeProcessed }: RpcError,
  isWhole: boolean,
  isValid: boolean,
): Code {
  const own = trailers.get(CODE_TRAILER);
  if (own !== undefined && Object.hasOwn(CODES, own)) return own as Code;
  switch (code) {
    case "UNAUTHENTICATED":
      return "UNAUTHENTICATED";
    case "PERMISSION_DENIED":
      return "FORBIDDEN";
    case "RESOURCE_EXHAUSTED":
      return "OVERLOADED";
    case "UNIMPLEMENTED":
      return "METHOD_NOT_ALLOWED";
    default:
      break;
  }
  const isUnwritten = code === "UNAVAILABLE" && message.startsWith(NOT_IN_SYNC);
  if (isWhole && maybeProcessed && !isUnwritten) return "OUTCOME_UNKNOWN";
  // CANCELLED by a server that stops: what the caller aborts is told by its own reason.
  if (code === "UNAVAILABLE" || code === "CANCELLED") return "UNAVAILABLE";
  if (code === "DEADLINE_EXCEEDED") return "REQUEST_TIMEOUT";
  if (code === "UNKNOWN") return isValid ? "UNAVAILABLE" : "INVALID_ARGUMENT";
  return "INTERNAL";
}
