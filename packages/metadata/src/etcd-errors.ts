// What a failed call to etcd means: whether the cluster has answered, whether to ask another member, and whether what
// was asked may have happened. etcd's texts are part of its API; codes alone do not tell these apart.
import { WireError, type Code } from "@millrace/base";
import type { Key } from "./coordination.ts";
import { refusalText } from "./etcd-refusals.ts";
import { textOf } from "./key.ts";

/** How a call ended, as a channel says it; a part of `CallEnd` of @millrace/grpc. */
export interface RpcEnd {
  readonly code: string;
  readonly message: string;
  /** False when it is certain that no server has seen the call. */
  readonly maybeProcessed: boolean;
}

export type Failure =
  /** The cluster's answer, whoever is asked. */
  | { readonly kind: "refused"; readonly error: WireError }
  /** The token is not valid any more; nothing has happened. */
  | { readonly kind: "token"; readonly error: WireError }
  /** This member could not; another one may. */
  | { readonly kind: "member"; readonly error: WireError; readonly mayHaveHappened: boolean };

export const AUTH_TEXT = {
  failed: "etcdserver: authentication failed, invalid user ID or password",
  invalidToken: "etcdserver: invalid auth token",
  oldRevision: "etcdserver: revision of auth store is old",
  userEmpty: "etcdserver: user name is empty",
  notEnabled: "etcdserver: authentication is not enabled",
} as const;

/** Answers whose gRPC code says less than their text. */
const REFUSALS: readonly (readonly [text: string, code: Code])[] = [
  [refusalText("compacted"), "COMPACTED"],
  [refusalText("leaseNotFound"), "NOT_FOUND"],
  [refusalText("leaseExists"), "CONFLICT"],
  [AUTH_TEXT.failed, "UNAUTHENTICATED"],
  [AUTH_TEXT.notEnabled, "CONFLICT"],
  [refusalText("noSpace"), "DISK_FULL"],
  ["etcdserver: permission denied", "FORBIDDEN"],
  // Whoever operates etcd may mend it, and nobody has become another cluster: asked again later, it may answer.
  ["etcdserver: corrupt cluster", "UNAVAILABLE"],
];

const TOKEN_TEXTS: readonly string[] = [AUTH_TEXT.invalidToken, AUTH_TEXT.oldRevision, AUTH_TEXT.userEmpty];

/** What a member says before it has proposed anything. */
const NOT_PROPOSED: readonly string[] = [
  "etcdserver: no leader",
  "etcdserver: not leader",
  "etcdserver: not capable",
  "etcdserver: rpc not supported for learner",
  "etcdserver: too many requests",
];

/** Keys of a transaction that an error names. */
const NAMED_MAX = 4;

/** Other codes are those of a member that is away, stopping or broken. */
const REFUSAL_CODES: Readonly<Record<string, Code>> = {
  INVALID_ARGUMENT: "INVALID_ARGUMENT",
  OUT_OF_RANGE: "INVALID_ARGUMENT",
  NOT_FOUND: "NOT_FOUND",
  ALREADY_EXISTS: "CONFLICT",
  FAILED_PRECONDITION: "CONFLICT",
  PERMISSION_DENIED: "FORBIDDEN",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  UNIMPLEMENTED: "INTERNAL",
  RESOURCE_EXHAUSTED: "TOO_LARGE",
};

/** What etcd refuses because of an alarm, which an operator disarms. */
export type EtcdAlarm = "corrupt" | "no-space";

/** The alarm that a refusal comes from. */
export function alarmOf({ message }: WireError): EtcdAlarm | undefined {
  if (message.includes("etcdserver: corrupt cluster")) return "corrupt";
  return message.includes(refusalText("noSpace")) ? "no-space" : undefined;
}

export function failureOf({ code, message, maybeProcessed }: RpcEnd): Failure {
  if (TOKEN_TEXTS.some((text) => message.includes(text))) {
    return { kind: "token", error: new WireError("UNAUTHENTICATED", message) };
  }
  if (NOT_PROPOSED.some((text) => message.includes(text))) {
    return { kind: "member", error: new WireError("UNAVAILABLE", message), mayHaveHappened: false };
  }
  const refusal = REFUSALS.find(([text]) => message.includes(text))?.[1] ?? REFUSAL_CODES[code];
  if (refusal !== undefined) return { kind: "refused", error: new WireError(refusal, message) };
  const text = message === "" ? `etcd: ${code}` : message;
  const error = new WireError("UNAVAILABLE", text, { facts: { grpc: code } });
  return { kind: "member", error, mayHaveHappened: maybeProcessed };
}

/** `error`, with the keys that were asked for: etcd does not say what it denies. */
export function namingKeys(error: WireError, keys: readonly Key[]): WireError {
  const some = keys.slice(0, NAMED_MAX).map(textOf).join(", ");
  const more = keys.length > NAMED_MAX ? ` and ${keys.length - NAMED_MAX} more` : "";
  const text = `${error.message} (${keys.length === 1 ? "key" : "one of the keys"} ${some}${more})`;
  return new WireError(error.code, text, { cause: error });
}

/** The end that the reason of a watch's cancellation stands for. */
export function endOfCancellation(reason: string): RpcEnd {
  const [, code, message] = /^rpc error: code = (\w+) desc = (.*)$/s.exec(reason) ?? [];
  if (code === undefined) return { code: "UNKNOWN", message: reason, maybeProcessed: true };
  const upper = code.replace(/(?<=[a-z])[A-Z]/g, "_$&").toUpperCase();
  return { code: upper, message: message ?? "", maybeProcessed: true };
}
