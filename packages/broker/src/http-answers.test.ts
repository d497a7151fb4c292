import assert from "node:assert/strict";
import { test } from "node:test";
import { CODES, WireError, type Code } from "@millrace/base";
import { errorAnswer } from "./http-answers.ts";

test("failures: those that refused say when to come back; one that may have happened does not", () => {
  const asks = (Object.keys(CODES) as Code[]).filter((code) =>
    errorAnswer(new WireError(code, "why")).headers.some(([name]) => name === "Retry-After"),
  );
  assert.ok(asks.includes("UNAVAILABLE") && asks.includes("DISK_FULL") && asks.includes("OVERLOADED"));
  assert.ok(!asks.includes("OUTCOME_UNKNOWN"));
});
