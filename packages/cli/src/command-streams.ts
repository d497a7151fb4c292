// `millrace sources` and `millrace sinks`: create and list.
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { WireError, systemClock } from "@millrace/base";
import { UsageError, type CliIo } from "./cli-io.ts";
import { addDoorOptions, callDoor, type DoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

const SOURCES = "/v1/branches/default/sources";
const POLL_MS = 100;

interface SourceOptions extends DoorOptions {
  readonly id?: string;
  readonly name?: string;
  readonly description?: string;
  readonly json?: true;
}

interface SinkOptions extends SourceOptions {
  readonly table: string;
  readonly columns: string;
  readonly setting: readonly string[];
}

export function addSourcesCommand(program: Command, io: CliIo): void {
  const group = program.command("sources").description("Create and list sources: where records come in");
  const create = group
    .command("create")
    .description("Create an HTTP source and print its URL")
    .argument("<id>", "id of the source, 1 to 48 characters")
    .option("--name <NAME>", "name (default: the id)")
    .option("--description <TEXT>", "description")
    .option("--json", "print the source as JSON");
  addDoorOptions(create, "api").action(async (id: string, options: SourceOptions) => {
    const body = {
      type: "http",
      sourceId: id,
      name: options.name ?? id,
      description: options.description ?? "",
    };
    const outputs = await runTask(options, SOURCES, body, io);
    const answer = await callDoor(
      "api",
      options,
      { method: "GET", path: `${SOURCES}/${outputs.sourceId}` },
      io.signal,
    );
    const source = JSON.parse(answer) as { http: { url: string } };
    io.out(options.json === true ? `${JSON.stringify(source)}\n` : `${source.http.url}\n`);
  });
  const list = group.command("list").description("List sources").option("--json", "print JSON");
  addDoorOptions(list, "api").action(async (options: SourceOptions) => {
    const sources = await listAll(options, SOURCES, "sources", io);
    if (options.json === true) io.out(`${JSON.stringify(sources)}\n`);
    else io.out(renderTable(["ID", "NAME", "TYPE", "VERSION", "URL"], sources.map(sourceRow)));
  });
}

export function addSinksCommand(program: Command, io: CliIo): void {
  const group = program
    .command("sinks")
    .description("Create and list sinks: which table gets a source's records");
  const create = group
    .command("create")
    .description("Create a sink of a source")
    .argument("<source>", "id of the source")
    .argument("<id>", "id of the sink, 1 to 48 characters")
    .requiredOption("--table <SCHEMA.TABLE>", "target table, e.g. main.flights")
    .requiredOption(
      "--columns <JSON|@FILE>",
      'mapping, e.g. \'[{"type":"uuid","name":"id"},{"type":"body","name":"body"}]\'',
    )
    .option("--name <NAME>", "name (default: the id)")
    .option("--description <TEXT>", "description")
    .option("--setting <NAME=VALUE>", "a setting of this sink; may be repeated (docs/sinks.md)", collect, [])
    .option("--json", "print the sink as JSON");
  addDoorOptions(create, "api").action(async (source: string, id: string, options: SinkOptions) => {
    const table = {
      type: "duckdb",
      tableId: options.table,
      mapping: { columns: readColumns(options.columns) },
    };
    const body = {
      type: "table",
      sinkId: id,
      name: options.name ?? id,
      description: options.description ?? "",
      table,
      settings: readSettings(options.setting),
    };
    const path = `${SOURCES}/${encodeURIComponent(source)}/sinks`;
    const outputs = await runTask(options, path, body, io);
    const answer = await callDoor(
      "api",
      options,
      { method: "GET", path: `${path}/${outputs.sinkId}` },
      io.signal,
    );
    io.out(options.json === true ? `${answer.trim()}\n` : `${outputs.sinkId}\n`);
  });
  const list = group
    .command("list")
    .description("List sinks of a source")
    .argument("<source>", "id of the source");
  addDoorOptions(list.option("--json", "print JSON"), "api").action(
    async (source: string, options: SourceOptions) => {
      const sinks = await listAll(options, `${SOURCES}/${encodeURIComponent(source)}/sinks`, "sinks", io);
      if (options.json === true) io.out(`${JSON.stringify(sinks)}\n`);
      else io.out(renderTable(["ID", "NAME", "TABLE", "COLUMNS", "VERSION"], sinks.map(sinkRow)));
    },
  );
}

interface Listed {
  readonly sourceId: string;
  readonly sinkId: string;
  readonly name: string;
  readonly type: string;
  readonly version: { readonly number: number };
  readonly http?: { readonly url: string };
  readonly table: {
    readonly tableId: string;
    readonly mapping: { readonly columns: readonly { name: string }[] };
  };
}

function sourceRow({ sourceId, name, type, version, http }: Listed): readonly string[] {
  return [sourceId, name, type, String(version.number), http?.url ?? ""];
}

function sinkRow({ sinkId, name, table, version }: Listed): readonly string[] {
  const columns = table.mapping.columns.map((column) => column.name).join(",");
  return [sinkId, name, table.tableId, columns, String(version.number)];
}

/** All pages of a list. */
async function listAll(
  options: DoorOptions,
  path: string,
  field: string,
  io: CliIo,
): Promise<readonly Listed[]> {
  const all: Listed[] = [];
  for (let afterId = ""; ;) {
    const query = afterId === "" ? "" : `?afterId=${encodeURIComponent(afterId)}`;
    const answer = await callDoor("api", options, { method: "GET", path: path + query }, io.signal);
    const page = JSON.parse(answer) as Record<string, unknown> & {
      page: { lastId: string; totalCount: number };
    };
    const items = page[field] as readonly Listed[];
    all.push(...items);
    if (items.length === 0 || all.length >= page.page.totalCount) return all;
    afterId = page.page.lastId;
  }
}

interface Task {
  readonly url: string;
  readonly isFinished: boolean;
  readonly error?: string;
  readonly outputs?: { readonly sourceId: string; readonly sinkId: string };
}

/** Posts and waits for the task's end. @throws {WireError} with the task's error */
async function runTask(
  options: DoorOptions,
  path: string,
  body: unknown,
  io: CliIo,
): Promise<{ sourceId: string; sinkId: string }> {
  let task = JSON.parse(await callDoor("api", options, { method: "POST", path, body }, io.signal)) as Task;
  while (!task.isFinished) {
    await systemClock.sleep(POLL_MS, io.signal);
    const taskPath = new URL(task.url).pathname;
    task = JSON.parse(await callDoor("api", options, { method: "GET", path: taskPath }, io.signal)) as Task;
  }
  if (task.error !== undefined) throw new WireError("INTERNAL", task.error);
  if (task.outputs === undefined) throw new WireError("INTERNAL", "the task has no outputs");
  return task.outputs;
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** Values that are JSON flags or numbers are sent as such, others as text. */
function readSettings(given: readonly string[]): Readonly<Record<string, string | number | boolean>> {
  const settings = given.map((one): [string, string | number | boolean] => {
    const at = one.indexOf("=");
    if (at < 1) throw new UsageError(`--setting: expected NAME=VALUE, got ${one}`);
    const value = one.slice(at + 1);
    if (value === "true" || value === "false") return [one.slice(0, at), value === "true"];
    return [one.slice(0, at), /^[0-9]{1,15}$/.test(value) ? Number(value) : value];
  });
  return Object.fromEntries(settings);
}

function readColumns(given: string): unknown {
  try {
    return JSON.parse(given.startsWith("@") ? readFileSync(given.slice(1), "utf8") : given);
  } catch (error) {
    throw new UsageError(`--columns: ${(error as Error).message}`);
  }
}
