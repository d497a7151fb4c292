import assert from "node:assert/strict";
import { test } from "node:test";
import type { Code } from "@millrace/base";
import { failureOf, type Vendor } from "./store-failure.ts";

type Row = readonly [Vendor, number | undefined, string, string, Code, isPassing: boolean];

const ROWS: readonly Row[] = [
  ["s3", 404, "NoSuchBucket", "", "FORBIDDEN", false],
  ["s3", 403, "AccessDenied", "", "FORBIDDEN", false],
  ["s3", 403, "SignatureDoesNotMatch", "", "FORBIDDEN", false],
  ["s3", 403, "Unknown", "", "FORBIDDEN", false],
  ["s3", 403, "RequestTimeTooSkewed", "", "UNAVAILABLE", true],
  ["s3", 401, "Unauthorized", "", "UNAVAILABLE", false],
  ["s3", 404, "NoSuchKey", "", "NOT_FOUND", false],
  ["s3", 404, "NotFound", "", "NOT_FOUND", false],
  ["s3", 404, "NoSuchUpload", "", "UNAVAILABLE", false],
  ["s3", 400, "KeyTooLongError", "", "INVALID_ARGUMENT", false],
  ["s3", 400, "InvalidStorageClass", "", "UNAVAILABLE", false],
  ["s3", 503, "SlowDown", "", "UNAVAILABLE", true],
  ["s3", 507, "XMinioStorageFull", "", "DISK_FULL", false],
  ["s3", 507, "", "", "DISK_FULL", false],
  ["s3", undefined, "ECONNREFUSED", "", "UNAVAILABLE", true],
  ["s3", undefined, "CredentialsProviderError", "", "FORBIDDEN", false],
  ["s3", 500, "constructor", "", "UNAVAILABLE", true],
  ["gs", 403, "", "Forbidden", "FORBIDDEN", false],
  ["gs", 404, "", "The specified bucket does not exist.", "FORBIDDEN", false],
  ["gs", 404, "", "No such object: x", "NOT_FOUND", false],
  ["gs", 401, "", "Invalid Credentials", "UNAVAILABLE", false],
  ["gs", 429, "", "rateLimitExceeded", "UNAVAILABLE", true],
  ["gs", 408, "", "", "UNAVAILABLE", true],
  ["gs", undefined, "UND_ERR_SOCKET", "other side closed", "UNAVAILABLE", true],
  ["azure", 404, "ContainerNotFound", "", "FORBIDDEN", false],
  ["azure", 404, "ContainerDisabled", "", "FORBIDDEN", false],
  ["azure", 409, "AccountIsDisabled", "", "FORBIDDEN", false],
  ["azure", 403, "AuthorizationPermissionMismatch", "", "FORBIDDEN", false],
  ["azure", 401, "InvalidAuthenticationInfo", "", "UNAVAILABLE", false],
  ["azure", 404, "BlobNotFound", "", "NOT_FOUND", false],
  ["azure", 400, "InvalidBlockList", "", "UNAVAILABLE", false],
  ["azure", 503, "ServerBusy", "", "UNAVAILABLE", true],
];

test("failureOf: what each vendor's refusals mean", () => {
  for (const [vendor, status, name, message, code, isPassing] of ROWS) {
    const failure = failureOf(vendor, { status, name, message });
    assert.deepEqual([failure.code, failure.isPassing], [code, isPassing], `${vendor} ${status} ${name}`);
  }
  const reason = failureOf("s3", { status: 503, name: "SlowDown", message: "reduce your rate" }).reason;
  assert.equal(reason, "503 SlowDown reduce your rate");
});
