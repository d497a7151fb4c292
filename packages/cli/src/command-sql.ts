// `millrace sql`: one query against the warehouse.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import { readAll } from "./read-all.ts";
import { addDoorOptions, callDoor, type DoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

const ACCEPT = { json: "application/json", ndjson: "application/x-ndjson", csv: "text/csv" } as const;

interface SqlOptions extends DoorOptions {
  readonly output: "table" | keyof typeof ACCEPT;
  readonly json?: true;
}

interface SqlAnswer {
  readonly columns: readonly { readonly name: string }[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

export function addSqlCommand(program: Command, io: CliIo): void {
  const output = new Option("-o, --output <FORMAT>", "how to print").choices([
    "table",
    "json",
    "ndjson",
    "csv",
  ]);
  const command = program
    .command("sql")
    .description("Run one SELECT against the warehouse and print its rows")
    .argument("[query]", "the query (default: stdin)")
    .addOption(output.default("table"))
    .option("--json", "the same as --output json");
  addDoorOptions(command, "warehouse").action(async (query: string | undefined, options: SqlOptions) => {
    const text = query === undefined || query === "-" ? await readAll(io.stdin) : query;
    const format = options.json === true ? "json" : options.output;
    const accept = format === "table" ? ACCEPT.json : ACCEPT[format];
    const call = { method: "POST", path: "/sql", body: { query: text }, accept } as const;
    const answer = await callDoor("warehouse", options, call, io.signal);
    if (format === "table") io.out(tableOf(JSON.parse(answer) as SqlAnswer));
    else io.out(answer.endsWith("\n") || answer === "" ? answer : `${answer}\n`);
  });
}

function tableOf({ columns, rows }: SqlAnswer): string {
  const keys = keysOf(columns.map(({ name }) => name));
  return renderTable(
    columns.map(({ name }) => name),
    rows.map((row) => keys.map((key) => cellText(row[key]))),
  );
}

/** The door's name of each column in its rows: equal names get a suffix, since an object cannot hold both. */
function keysOf(names: readonly string[]): readonly string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count === 0 ? name : `${name}_${count}`;
  });
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "string" ? value : JSON.stringify(value);
}
