import assert from "node:assert/strict";
import { test } from "node:test";
import type { KeyFailure } from "@millrace/ingest";
import { awsKmsFailure } from "./aws-kms-failure.ts";

const cases: [status: number | undefined, name: string, kind: KeyFailure["kind"], remedy: RegExp][] = [
  [400, "AccessDeniedException", "refused", /kms:GenerateDataKey .* kms:Decrypt/],
  [400, "DisabledException", "refused", /^enable the key/],
  [400, "KMSInvalidStateException", "refused", /cancel its deletion/],
  [400, "NotFoundException", "refused", /^name an existing symmetric key in encryption\.kms-key/],
  [400, "IncorrectKeyException", "other-key", /^name the key that has wrapped it/],
  [400, "InvalidCiphertextException", "changed", /backup/],
  [400, "InvalidSignatureException", "refused", /AWS_ACCESS_KEY_ID/],
  [undefined, "CredentialsProviderError", "refused", /AWS_ACCESS_KEY_ID/],
  [400, "ThrottlingException", "passing", /quota/],
  [500, "KeyUnavailableException", "passing", /network/],
  [500, "KMSInternalException", "passing", /^$/],
  [503, "", "passing", /^$/],
  [429, "Unknown", "passing", /^$/],
  [400, "ValidationException", "refused", /^$/],
  [400, "constructor", "refused", /^$/],
  [undefined, "ECONNREFUSED", "passing", /encryption\.kms-endpoint/],
];
for (const [status, name, kind, remedy] of cases) {
  test(`AWS KMS says ${status} ${name} -> ${kind}, with what it said`, () => {
    const failure = awsKmsFailure({ status, name, message: "its words" });
    assert.equal(failure.kind, kind);
    assert.match(failure.remedy, remedy);
    assert.equal(
      failure.reason,
      [status, name, "its words"].filter((part) => part !== undefined && part !== "").join(" "),
    );
  });
}

test("no region anywhere -> the setting to give", () => {
  const { kind, remedy } = awsKmsFailure({ status: undefined, name: "", message: "Region is missing" });
  assert.deepEqual([kind, remedy], ["refused", "give --encryption.kms-region"]);
});

test("a long message -> its begin", () => {
  assert.equal(awsKmsFailure({ status: 400, name: "X", message: "m".repeat(10_000) }).reason.length, 500);
});
