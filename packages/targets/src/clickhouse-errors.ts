// What ClickHouse's errors mean for a load: codes of its exceptions, never texts.
import { WireError, type Code } from "@millrace/base";

/** No such table or database. */
export const NOT_THERE: readonly number[] = [60, 81];

const CODES: Readonly<Record<number, Code>> = {
  6: "UNPROCESSABLE", // values that the column's type has not
  26: "UNPROCESSABLE",
  27: "UNPROCESSABLE",
  38: "UNPROCESSABLE",
  41: "UNPROCESSABLE",
  53: "UNPROCESSABLE",
  62: "UNPROCESSABLE",
  115: "UNPROCESSABLE", // a setting that this version has not
  117: "UNPROCESSABLE",
  376: "UNPROCESSABLE",
  469: "UNPROCESSABLE", // a constraint of a table that others made
  16: "UNAVAILABLE", // a column, table, database was dropped since it was looked at: the next attempt makes it
  60: "UNAVAILABLE",
  81: "UNAVAILABLE",
  164: "FORBIDDEN", // read only
  192: "FORBIDDEN",
  193: "FORBIDDEN",
  194: "FORBIDDEN",
  497: "FORBIDDEN",
  516: "FORBIDDEN",
  243: "DISK_FULL",
  159: "OUTCOME_UNKNOWN",
  209: "OUTCOME_UNKNOWN",
  210: "OUTCOME_UNKNOWN",
  319: "OUTCOME_UNKNOWN",
};

const TEXT_CHARS_MAX = 500;

/** A refusal of the server. @param exception its code; undefined: something between answered */
export function clickHouseFailure(status: number, exception: number | undefined, text: string): WireError {
  const shown = text.trim().split("\n")[0]!.slice(0, TEXT_CHARS_MAX);
  if (exception === undefined) {
    const code = status === 401 || status === 403 ? "FORBIDDEN" : "UNAVAILABLE";
    return new WireError(code, `ClickHouse: HTTP status ${status}: ${shown}`, { facts: { status } });
  }
  const code = CODES[exception] ?? "UNAVAILABLE";
  const said = shown.startsWith("Code:") ? shown : `Code: ${exception}. ${shown}`;
  return new WireError(code, `ClickHouse: ${said}`, { facts: { status, exception } });
}
