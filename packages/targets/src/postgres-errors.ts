// What PostgreSQL's errors mean for a load: classes of SQLSTATE, never texts.
import { WireError, type Code } from "@millrace/base";

/** An error that the server sent, as the driver gives it. */
export interface ServerError extends Error {
  /** SQLSTATE: five digits and letters. */
  readonly code: string;
  readonly severity: string;
  readonly where?: string;
  readonly detail?: string;
}

export function isServerError(error: unknown): error is ServerError {
  const { code, severity } = error as Partial<ServerError>;
  return error instanceof Error && typeof severity === "string" && /^[0-9A-Z]{5}$/.test(code ?? "");
}

/** By SQLSTATE, or by its first two characters, its class. */
const CODES: Readonly<Record<string, Code>> = {
  "08": "UNAVAILABLE",
  "22": "UNPROCESSABLE", // data: a value that the column's type or the database's encoding has not
  "23": "UNPROCESSABLE", // constraints of a table that somebody else made
  "25": "UNAVAILABLE",
  "25006": "UNAVAILABLE", // read only: a standby, or a primary that is about to go
  "28": "FORBIDDEN",
  "3D": "FORBIDDEN", // there is no such database
  "3F000": "UNAVAILABLE", // dropped since it was looked at: the next attempt makes it
  "40": "UNAVAILABLE",
  "42": "UNPROCESSABLE",
  "42501": "FORBIDDEN",
  "42P01": "UNAVAILABLE", // as 3F000
  "42703": "UNAVAILABLE", // a column was dropped
  "53": "UNAVAILABLE",
  "53100": "DISK_FULL",
  "54": "UNPROCESSABLE",
  "55": "UNAVAILABLE",
  "57": "UNAVAILABLE",
  "58": "UNAVAILABLE",
};

/** States after which nobody knows whether the statement, if it was COMMIT, has done its work. */
export function leavesOutcomeOpen(error: unknown): boolean {
  if (!isServerError(error)) return true;
  return error.code.startsWith("08") || error.code.startsWith("57") || error.code === "40003";
}

/** The failure of a call as its caller is told. */
export function postgresFailure(error: unknown): WireError {
  if (error instanceof WireError) return error;
  if (!isServerError(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return new WireError("UNAVAILABLE", `PostgreSQL cannot be reached: ${message}`, { cause: error });
  }
  const code = CODES[error.code] ?? CODES[error.code.slice(0, 2)] ?? "UNAVAILABLE";
  const where = error.where === undefined ? "" : ` (${error.where.split("\n")[0]})`;
  const facts = { sqlstate: error.code };
  return new WireError(code, `PostgreSQL: ${error.message}${where}`, { facts, cause: error });
}
