// Which code a vendor's refusal has (gazette-broker.md 6.5): what says that rights or the bucket are missing is
// FORBIDDEN, 401 never is, and whatever a retry may mend is UNAVAILABLE.
import type { Code, WireError } from "@millrace/base";
import type { StoreFailure } from "./remote-driver.ts";

export type Vendor = "s3" | "gs" | "azure";

/** What a service answered, or why it could not be asked. */
export interface Refusal {
  /** HTTP status; undefined: there was no answer. */
  readonly status: number | undefined;
  /** The vendor's name for it: `NoSuchKey`, `BlobNotFound`; "" when there is none. */
  readonly name: string;
  readonly message: string;
}

const CODES: Readonly<Record<Vendor, Readonly<Record<string, Code>>>> = {
  s3: {
    NoSuchBucket: "FORBIDDEN",
    AccessDenied: "FORBIDDEN",
    NoSuchKey: "NOT_FOUND",
    NotFound: "NOT_FOUND",
    // An upload that has ended, perhaps by an attempt whose answer was lost.
    NoSuchUpload: "UNAVAILABLE",
    // 403 by status, but of a clock that the SDK corrects for the next attempt.
    RequestTimeTooSkewed: "UNAVAILABLE",
    KeyTooLongError: "INVALID_ARGUMENT",
    XMinioInvalidObjectName: "INVALID_ARGUMENT",
    XMinioParentIsObject: "INVALID_ARGUMENT",
    XMinioObjectExistsAsDirectory: "INVALID_ARGUMENT",
    XMinioStorageFull: "DISK_FULL",
    // Nothing in the environment has credentials.
    CredentialsProviderError: "FORBIDDEN",
  },
  gs: {},
  azure: {
    ContainerNotFound: "FORBIDDEN",
    ContainerDisabled: "FORBIDDEN",
    AccountIsDisabled: "FORBIDDEN",
    BlobNotFound: "NOT_FOUND",
    InvalidBlockList: "UNAVAILABLE",
  },
};

const PASSING_NAMES: ReadonlySet<string> = new Set(["RequestTimeTooSkewed"]);

export function failureOf(vendor: Vendor, refusal: Refusal): StoreFailure {
  const { status, name, message } = refusal;
  const isPassing =
    status === undefined || status >= 500 || status === 408 || status === 429 || PASSING_NAMES.has(name);
  const reason = [status, name, message].filter((part) => part !== undefined && part !== "").join(" ");
  const code = codeOf(vendor, refusal);
  return { code, isPassing: isPassing && code === "UNAVAILABLE", reason };
}

function codeOf(vendor: Vendor, { status, name, message }: Refusal): Code {
  const named = Object.hasOwn(CODES[vendor], name) ? CODES[vendor][name] : undefined;
  if (named !== undefined) return named;
  if (status === 403) return "FORBIDDEN";
  if (status === 507) return "DISK_FULL";
  if (status !== 404) return "UNAVAILABLE";
  return vendor === "gs" && message.toLowerCase().includes("bucket") ? "FORBIDDEN" : "NOT_FOUND";
}

/** The failure that a WireError of our own is. */
export function ownFailure({ code, message }: WireError): StoreFailure {
  return { code, isPassing: code === "UNAVAILABLE", reason: message };
}

/** `field` of something thrown, if it is a text. */
export function textOf(thrown: unknown, field: string): string {
  const value: unknown =
    typeof thrown === "object" && thrown !== null ? (thrown as Record<string, unknown>)[field] : undefined;
  return typeof value === "string" ? value : "";
}
