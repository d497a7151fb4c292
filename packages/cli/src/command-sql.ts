// `millrace sql`: one query against the warehouse.
import { Option, type Command } from "commander";
import { strictText, concatBytes } from "@millrace/base";
import { UsageError, type CliIo } from "./cli-io.ts";
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
  const command = program
    .command("sql")
    .description("Run one SELECT against the warehouse and print its rows")
    .argument("[query]", "the query; - or nothing reads it from stdin")
    .addOption(new Option("-o, --output <FORMAT>", "how to print").choices(["table", "json", "ndjson", "csv"]).default("table"))
    .option("--json", "the same as --output json");
  addDoorOptions(command, "warehouse").action(async (query: string | undefined, options: SqlOptions) => {
    const text = query === undefined || query === "-" ? await readAll(io.stdin) : query;
    const output = options.json === true ? "json" : options.output;
    const accept = output === "table" ? ACCEPT.json : ACCEPT[output];
    const call = { method: "POST", path: "/sql", body: { query: text }, accept } as const;
    const answer = await callDoor("warehouse", options, call, io.signal);
    if (output !== "table") {
      io.out(answer);
      return;
    }
    const { columns, rows } = JSON.parse(answer) as SqlAnswer;
    const names = columns.map((column) => column.name);
    io.out(renderTable(names, rows.map((row) => Object.values(row).map(cellText))));
  });
}

function cellText(value: unknown): string {
  if (value === null) return "NULL";
  return typeof value === "string" ? value.replaceAll(/[\n\r\t]/g, " ") : JSON.stringify(value);
}

export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  const text = strictText(concatBytes(parts));
  if (text === undefined) throw new UsageError("the input is not UTF-8");
  return text;
}
