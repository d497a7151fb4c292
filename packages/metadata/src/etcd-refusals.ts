// What etcd refuses, once: the gRPC status and the text by which its clients know a refusal, and the code that it has
// elsewhere in Millrace. Facts from etcd's public API package.
import { WireError, type Code } from "@millrace/base";

/** Statuses of gRPC that etcd refuses with. */
type RefusalStatus =
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED";

interface Refusal {
  readonly status: RefusalStatus;
  readonly code: Code;
  /** Without the prefix `etcdserver: `, which all have. */
  readonly says: string;
}

function bad(says: string): Refusal {
  return { status: "INVALID_ARGUMENT", code: "INVALID_ARGUMENT", says };
}

function precondition(says: string): Refusal {
  return { status: "FAILED_PRECONDITION", code: "CONFLICT", says };
}

const REFUSALS = {
  emptyKey: bad("key is not provided"),
  keyNotFound: bad("key not found"),
  valueProvided: bad("value is provided"),
  leaseProvided: bad("lease is provided"),
  tooManyOps: bad("too many operations in txn request"),
  duplicateKey: bad("duplicate key given in txn request"),
  tooLarge: bad("request is too large"),
  compacted: {
    status: "OUT_OF_RANGE",
    code: "COMPACTED",
    says: "mvcc: required revision has been compacted",
  },
  futureRevision: {
    status: "OUT_OF_RANGE",
    code: "INVALID_ARGUMENT",
    says: "mvcc: required revision is a future revision",
  },
  leaseNotFound: { status: "NOT_FOUND", code: "NOT_FOUND", says: "requested lease not found" },
  leaseExists: precondition("lease already exists"),
  ttlTooLarge: { status: "OUT_OF_RANGE", code: "INVALID_ARGUMENT", says: "too large lease TTL" },
  noSpace: { status: "RESOURCE_EXHAUSTED", code: "DISK_FULL", says: "mvcc: database space exceeded" },
  tooManyRequests: { status: "RESOURCE_EXHAUSTED", code: "OVERLOADED", says: "too many requests" },
  answerTooLarge: {
    status: "RESOURCE_EXHAUSTED",
    code: "TOO_LARGE",
    says: "the answer is too large, ask with a limit",
  },
  stopped: { status: "UNAVAILABLE", code: "SHUTTING_DOWN", says: "server stopped" },
  timedOut: { status: "UNAVAILABLE", code: "OUTCOME_UNKNOWN", says: "request timed out" },
  rootUserMissing: precondition("root user does not exist"),
  rootRoleMissing: precondition("root user does not have root role"),
  userExists: precondition("user name already exists"),
  userEmpty: bad("user name is empty"),
  userNotFound: precondition("user name not found"),
  roleExists: precondition("role name already exists"),
  roleEmpty: bad("role name is empty"),
  roleNotFound: precondition("role name not found"),
  roleNotGranted: precondition("role is not granted to the user"),
  authFailed: bad("authentication failed, invalid user ID or password"),
  authNotEnabled: precondition("authentication is not enabled"),
  authManagement: bad("invalid auth management"),
  permissionDenied: { status: "PERMISSION_DENIED", code: "FORBIDDEN", says: "permission denied" },
  invalidToken: { status: "UNAUTHENTICATED", code: "UNAUTHENTICATED", says: "invalid auth token" },
  otherRoles: {
    status: "UNIMPLEMENTED",
    code: "INVALID_ARGUMENT",
    says: "the embedded store has no roles but root, and no permissions for parts of the keys",
  },
  notSupported: {
    status: "UNIMPLEMENTED",
    code: "INVALID_ARGUMENT",
    says: "not supported by the embedded store",
  },
} as const satisfies Record<string, Refusal>;

export type RefusalName = keyof typeof REFUSALS;

/** The text of a refusal, as etcd's clients compare it. */
export function refusalText(name: RefusalName): string {
  return `etcdserver: ${REFUSALS[name].says}`;
}

export function refusalStatus(name: RefusalName): RefusalStatus {
  return REFUSALS[name].status;
}

/** The error of a refusal. @param detail value and bound, put behind the text for whoever is no etcd client */
export function etcdRefusal(name: RefusalName, detail = ""): WireError {
  const message = detail === "" ? refusalText(name) : `${refusalText(name)} (${detail})`;
  return new WireError(REFUSALS[name].code, message, { facts: { refusal: name } });
}

/** Which refusal `error` is. */
export function refusalOf(error: WireError): RefusalName | undefined {
  const name = error.facts["refusal"];
  return typeof name === "string" && name in REFUSALS ? (name as RefusalName) : undefined;
}
