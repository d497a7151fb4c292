// The status of responses: its row in their tables and its check.
import { enumeration, type Field, invalid } from "@millrace/protobuf";
import { STATUS, type Status } from "./enums.ts";

/** The row of a status. */
export function statusField(number: number): Field<Status> {
  return enumeration(number, STATUS, "status");
}

/** @throws {ValidationError} for a value that the type does not know, from untyped callers */
export function validateStatus(status: Status): void {
  if (!Object.hasOwn(STATUS, status)) invalid(`invalid status (${status})`);
}
