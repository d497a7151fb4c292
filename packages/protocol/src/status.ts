// The status of responses: its row in their tables and its check.
import { STATUS, type Status } from "./enums.ts";
import { enumeration } from "./message-fields.ts";
import type { Field } from "./message-table.ts";
import { invalid } from "./validation-error.ts";

/** The row of a status. */
export function statusField(number: number): Field<Status> {
  return enumeration(number, STATUS, "status");
}

/** @throws {ValidationError} for a value that the type does not know, from untyped callers */
export function validateStatus(status: Status): void {
  if (!Object.hasOwn(STATUS, status)) invalid(`invalid status (${status})`);
}
