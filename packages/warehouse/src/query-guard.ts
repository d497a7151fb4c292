// What a user's SQL may be: one SELECT (or EXPLAIN of one), over tables and views of the database, with table functions
// from a list. The parser's own syntax tree is checked (json_serialize_sql), so nothing depends on text matching. The
// read-only transaction, the locked configuration and the closed file system stand behind it; staged files are the one
// thing that the configuration lets the process read, and this guard keeps them away from users.
import { WireError } from "@millrace/base";

/** Table functions without side effects that read neither files nor settings. */
const TABLE_FUNCTIONS = new Set([
  "range",
  "generate_series",
  "unnest",
  "repeat",
  "repeat_row",
  "json_each",
  "json_tree",
  "summary",
  "pragma_table_info",
  "duckdb_tables",
  "duckdb_columns",
  "duckdb_views",
  "duckdb_schemas",
  "duckdb_types",
  "duckdb_functions",
  "duckdb_constraints",
  "duckdb_keywords",
  "test_all_types",
]);

/**
 * Functions that reveal or change the process. What else there is was looked at: query-functions.golden.txt has each,
 * and its test fails when the engine has another.
 */
export const REFUSED_FUNCTIONS = new Set([
  "current_setting",
  "getenv",
  "getvariable",
  "nextval",
  "currval",
  "write_log",
]);

const EXPLAIN = /^\s*explain(\s+analyze)?\s+(?=\S)/i;

export type StatementKind = "select" | "explain";

/** Splits `EXPLAIN [ANALYZE]` off. What remains must be a SELECT for {@link checkTree}. */
export function splitExplain(sql: string): { kind: StatementKind; select: string; skipped: number } {
  const match = EXPLAIN.exec(sql);
  if (match === null) return { kind: "select", select: sql, skipped: 0 };
  return { kind: "explain", select: sql.slice(match[0].length), skipped: match[0].length };
}

interface Tree {
  readonly error: boolean;
  readonly error_type?: string;
  readonly error_message?: string;
  readonly position?: string;
  readonly statements?: readonly unknown[];
}

/**
 * Checks what json_serialize_sql said of a statement.
 * @throws {WireError} INVALID_ARGUMENT with message and, where known, `position` (1-based) in the facts
 */
export function checkTree(json: string, skipped: number): void {
  const tree = JSON.parse(json) as Tree;
  if (tree.error) {
    if (tree.error_type === "not implemented") {
      throw refusal("only one SELECT, or EXPLAIN of one, is allowed here", undefined, skipped);
    }
    const at = tree.position === undefined ? undefined : Number(tree.position);
    throw refusal(`Parser Error: ${tree.error_message ?? "syntax error"}`, at, skipped);
  }
  const statements = tree.statements ?? [];
  if (statements.length !== 1) {
    throw refusal(`expected one statement, got ${statements.length}`, undefined, skipped);
  }
  walk(statements[0], skipped);
}

function walk(node: unknown, skipped: number): void {
  const pending: unknown[] = [node];
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next !== "object" || next === null) continue;
    const fields = next as Record<string, unknown>;
    if (fields["type"] === "TABLE_FUNCTION") checkTableFunction(fields["function"], skipped);
    if (fields["type"] === "BASE_TABLE") checkTable(fields, skipped);
    if (fields["class"] === "FUNCTION") checkFunction(fields, skipped);
    pending.push(...Object.values(fields));
  }
}

function checkTableFunction(call: unknown, skipped: number): void {
  const fields = (typeof call === "object" && call !== null ? call : {}) as Record<string, unknown>;
  const name = String(fields["function_name"]).toLowerCase();
  if (!TABLE_FUNCTIONS.has(name))
    throw refusal(`table function "${name}" is not allowed here`, location(fields), skipped);
}

function checkTable(fields: Record<string, unknown>, skipped: number): void {
  const name = String(fields["table_name"]);
  if (/[/\\*?:]|\.[a-z0-9]+$/i.test(name)) {
    throw refusal(`"${name}" names a file: files cannot be read here`, location(fields), skipped);
  }
}

function checkFunction(fields: Record<string, unknown>, skipped: number): void {
  const name = String(fields["function_name"]).toLowerCase();
  if (REFUSED_FUNCTIONS.has(name))
    throw refusal(`function "${name}" is not allowed here`, location(fields), skipped);
}

function location(fields: Record<string, unknown>): number | undefined {
  const at = fields["query_location"];
  return typeof at === "number" && Number.isSafeInteger(at) ? at : undefined;
}

function refusal(message: string, at: number | undefined, skipped: number): WireError {
  return new WireError(
    "INVALID_ARGUMENT",
    message,
    at === undefined ? {} : { facts: { position: at + skipped + 1 } },
  );
}

/** Message and 1-based position out of an engine error, whose text ends with `LINE n: …` and a caret below it. */
export function describeEngineError(
  text: string,
  sql: string,
): { message: string; position: number | undefined } {
  const at = /\n+LINE (\d+): ([^\n]*)\n( *)\^/.exec(text);
  if (at === null) return { message: text.trim(), position: undefined };
  const message = text.slice(0, at.index).trim();
  const [, line, shown, indent] = at;
  const lines = sql.split("\n");
  const number = Number(line);
  const source = lines[number - 1] ?? "";
  // A long line is shown cut, with "..." before the part that is shown.
  const label = `LINE ${line}: `.length;
  const column = (indent ?? "").length - label;
  const cut = (shown ?? "").startsWith("...") ? source.indexOf((shown ?? "").replaceAll("...", "")) - 3 : 0;
  const before = lines.slice(0, number - 1).reduce((sum, each) => sum + each.length + 1, 0);
  return { message, position: before + Math.max(0, cut) + column + 1 };
}
