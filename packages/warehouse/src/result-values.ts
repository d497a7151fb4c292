// Values of results as JSON and as CSV text. Integers beyond 2^53 and decimals of more than 15 digits become strings in
// JSON, since a reader's numbers could not hold them.
import {
  DuckDBArrayValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  type DuckDBValue,
} from "@duckdb/node-api";

/** JSON text of a value. */
export function jsonText(value: DuckDBValue): string {
  switch (typeof value) {
    case "boolean":
      return value ? "true" : "false";
    case "number":
      return Number.isFinite(value) ? String(value) : `"${value}"`;
    case "bigint":
      return value >= MIN_SAFE && value <= MAX_SAFE ? value.toString() : `"${value}"`;
    case "string":
      return JSON.stringify(value);
    default:
      return value === null ? "null" : objectText(value);
  }
}

const MIN_SAFE = BigInt(Number.MIN_SAFE_INTEGER);
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const EXACT_DIGITS = 15;

function objectText(value: Exclude<DuckDBValue, null | boolean | number | bigint | string>): string {
  if (value instanceof DuckDBDecimalValue) {
    const digits = value.toString();
    return digits.replaceAll(/[-.]/g, "").length <= EXACT_DIGITS ? digits : `"${digits}"`;
  }
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    return `[${value.items.map((item) => jsonText(item)).join(",")}]`;
  }
  if (value instanceof DuckDBStructValue) {
    const fields = Object.entries(value.entries).map(
      ([name, field]) => `${JSON.stringify(name)}:${jsonText(field)}`,
    );
    return `{${fields.join(",")}}`;
  }
  if (value instanceof DuckDBMapValue) {
    const entries = value.entries.map(
      ({ key, value: held }) => `{"key":${jsonText(key)},"value":${jsonText(held)}}`,
    );
    return `[${entries.join(",")}]`;
  }
  return JSON.stringify(value.toString());
}

/** CSV text of a value (RFC 4180): NULL is empty, an empty string is `""`. */
export function csvText(value: DuckDBValue): string {
  if (value === null) return "";
  if (typeof value === "string") return quoteCsv(value);
  if (typeof value === "object" && !(value instanceof DuckDBDecimalValue)) {
    const text = jsonText(value);
    return quoteCsv(text.startsWith('"') ? (JSON.parse(text) as string) : text);
  }
  return String(value);
}

export function quoteCsv(text: string): string {
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
