import assert from "node:assert/strict";
import { test } from "node:test";
import { STATUS, type Status } from "@millrace/protocol";
import { mayMove, statusError } from "./statuses.ts";

const CODES: Readonly<Record<Exclude<Status, "OK">, string>> = {
  JOURNAL_NOT_FOUND: "JOURNAL_NOT_FOUND",
  NO_JOURNAL_PRIMARY_BROKER: "INSUFFICIENT_JOURNAL_BROKERS",
  NOT_JOURNAL_PRIMARY_BROKER: "NOT_PRIMARY",
  INSUFFICIENT_JOURNAL_BROKERS: "INSUFFICIENT_JOURNAL_BROKERS",
  NOT_JOURNAL_BROKER: "NOT_PRIMARY",
  OFFSET_NOT_YET_AVAILABLE: "OFFSET_NOT_YET_AVAILABLE",
  WRONG_ROUTE: "NOT_PRIMARY",
  PROPOSAL_MISMATCH: "UNAVAILABLE",
  ETCD_TRANSACTION_FAILED: "ETCD_TRANSACTION_FAILED",
  NOT_ALLOWED: "NOT_ALLOWED",
  WRONG_APPEND_OFFSET: "WRONG_APPEND_OFFSET",
  INDEX_HAS_GREATER_OFFSET: "INDEX_HAS_GREATER_OFFSET",
  REGISTER_MISMATCH: "REGISTER_MISMATCH",
  SUSPENDED: "SUSPENDED",
  FRAGMENT_STORE_UNHEALTHY: "FRAGMENT_STORE_UNHEALTHY",
};

test("statuses: each but OK -> its code, and a message that says what was asked", () => {
  for (const status of Object.keys(STATUS) as Status[]) {
    if (status === "OK") continue;
    const error = statusError(status, "append to a/b", "more");
    assert.equal(error.code, CODES[status]);
    assert.equal(error.message, `append to a/b: ${status}: more`);
  }
});

test("statuses: only those before anything was written may be repeated at once", () => {
  const moving = (Object.keys(STATUS) as Status[]).filter(mayMove);
  assert.deepEqual(moving.sort(), [
    "INSUFFICIENT_JOURNAL_BROKERS",
    "NOT_JOURNAL_PRIMARY_BROKER",
    "NO_JOURNAL_PRIMARY_BROKER",
  ]);
});
