import assert from "node:assert/strict";
import { test } from "node:test";
import { hex, text } from "@millrace/base";
import { encodeResponse, isRejected, rejectionText, type ExportOutcome, type Signal } from "./index.ts";
import { NO_OFFICIAL, officialOtlp, snakeCase } from "./otlp-official-testkit.ts";

const SIGNALS: readonly (readonly [signal: Signal, rejectedName: string])[] = [
  ["logs", "rejectedLogRecords"],
  ["metrics", "rejectedDataPoints"],
  ["traces", "rejectedSpans"],
];
const SUCCESS: ExportOutcome = { total: 5, rejected: 0 };
const PARTIAL: ExportOutcome = { total: 5, rejected: 3, failure: { status: 422, firstError: "no column" } };
const official = officialOtlp();

test("all taken -> an empty response in either encoding", () => {
  for (const [signal] of SIGNALS) {
    assert.equal(hex(encodeResponse(signal, "protobuf", SUCCESS)), "");
    assert.equal(text(encodeResponse(signal, "json", SUCCESS)), "{}");
  }
});

test("some taken -> partial success with the signal's count and the first error", () => {
  const message = "3 of 5 records rejected; first error: no column";
  assert.equal(rejectionText(PARTIAL), message);
  assert.equal(rejectionText({ total: 5, rejected: 3 }), "3 of 5 records rejected");
  const long: ExportOutcome = { ...PARTIAL, failure: { status: 422, firstError: "x".repeat(1_000_000) } };
  assert.equal(rejectionText(long), `3 of 5 records rejected; first error: ${"x".repeat(1000)}`);
  for (const [signal, rejectedName] of SIGNALS) {
    const json: unknown = JSON.parse(text(encodeResponse(signal, "json", PARTIAL)));
    assert.deepEqual(json, { partialSuccess: { [rejectedName]: "3", errorMessage: message } });
    assert.equal(hex(encodeResponse(signal, "protobuf", PARTIAL).subarray(0, 4)), "0a330803");
  }
});

test(
  "responses in protobuf -> read by the official definitions",
  { skip: official ? false : NO_OFFICIAL },
  () => {
    for (const [signal, rejectedName] of SIGNALS) {
      assert.deepEqual(official!.decodeResponse(signal, encodeResponse(signal, "protobuf", SUCCESS)), {});
      assert.deepEqual(official!.decodeResponse(signal, encodeResponse(signal, "protobuf", PARTIAL)), {
        partial_success: { [snakeCase(rejectedName)]: "3", error_message: rejectionText(PARTIAL) },
      });
    }
  },
);

test("isRejected: only when something was, and nothing was taken", () => {
  assert.equal(isRejected(SUCCESS), false);
  assert.equal(isRejected(PARTIAL), false);
  assert.equal(isRejected({ total: 0, rejected: 0 }), false);
  assert.equal(isRejected({ total: 2, rejected: 2 }), true);
});
