// Statuses of the protocol as coded errors. A status says that nothing was written, so that a retry is always safe.
import { WireError, type Code } from "@millrace/base";
import type { AppendResponse, Status } from "@millrace/protocol";

const STATUS_CODE: Readonly<Record<Exclude<Status, "OK">, Code>> = {
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

/** The error that a status other than OK stands for. @param about what was asked for, e.g. `append to a/b` */
export function statusError(status: Exclude<Status, "OK">, about: string, detail = ""): WireError {
  const message = detail === "" ? `${about}: ${status}` : `${about}: ${status}: ${detail}`;
  return new WireError(STATUS_CODE[status], message, { facts: { status } });
}

/** Statuses after which the same append may be sent again: who serves the journal is about to change. */
export function mayMove(status: Status): boolean {
  return (
    status === "NO_JOURNAL_PRIMARY_BROKER" ||
    status === "NOT_JOURNAL_PRIMARY_BROKER" ||
    status === "INSUFFICIENT_JOURNAL_BROKERS"
  );
}

/** @throws {WireError} unless `response` is OK */
export function checkAppend(journal: string, response: AppendResponse): void {
  if (response.status === "OK") return;
  throw statusError(response.status, `append to ${journal}`, response.storeHealthError);
}
