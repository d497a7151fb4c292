// `millrace sinks`: which table gets a source's records, and how.
import type { Command } from "commander";
import type { CreateSink, FileStatistics, Level, Sink } from "@millrace/api-client";
import type { CliIo } from "./cli-io.ts";
import { addLifecycleCommands, entityArguments, entityCommand, onChange } from "./command-lifecycle.ts";
import {
  BRANCH,
  collect,
  given,
  parseSetting,
  readJson,
  renderFields,
  stateOf,
  stateWord,
  type JsonOptions,
} from "./stream-options.ts";
import { openApi } from "./system-api-door.ts";
import { addDoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

interface SinkOptions extends JsonOptions {
  readonly table: string;
  readonly columns: string;
  readonly target: string;
  readonly connection?: string;
  readonly name?: string;
  readonly description?: string;
  readonly change?: string;
  readonly setting: readonly string[];
  readonly deleted?: true;
  readonly files?: true;
  readonly failed?: true;
  readonly clear?: true;
}

type UpdateOptions = Partial<Pick<SinkOptions, "table" | "columns">> & Omit<SinkOptions, "table" | "columns">;

const COLUMNS = 'mapping, e.g. \'[{"type":"uuid","name":"id"},{"type":"body","name":"body"}]\'';

export function addSinksCommand(program: Command, io: CliIo): void {
  const group = program.command("sinks").description("Work on sinks: which table gets a source's records");
  addReading(group, io);
  addCreate(group, io);
  const update = entityCommand(group, "update", "sink")
    .description("Change a sink; what is not given stays")
    .option("--name <NAME>", "name")
    .option("--description <TEXT>", "description")
    .option("--table <SCHEMA.TABLE>", "target table")
    .option("--columns <JSON|@FILE>", COLUMNS)
    .option("--change <TEXT>", "what the new version's description says");
  onChange<UpdateOptions>(update, "sink", io, async (api, ids, _more, options) => {
    const { name, description, change, table: tableId, columns } = options;
    const mapping = columns === undefined ? undefined : await mappingOf(columns);
    const table = tableId === undefined && mapping === undefined ? undefined : given({ tableId, mapping });
    const body = given({ name, description, table, changeDescription: change });
    return api.call("updateSink", { ...BRANCH, ...ids, body });
  });
  const remove = entityCommand(group, "delete", "sink").description("Delete a sink; it can be undeleted");
  onChange(remove, "sink", io, (api, ids) => api.call("deleteSink", { ...BRANCH, ...ids }));
  addLifecycleCommands(group, "sink", io);
  addStatistics(group, io);
}

function addReading(group: Command, io: CliIo): void {
  const list = group
    .command("list")
    .description("List sinks of a source")
    .argument("<source>", "id of the source")
    .option("--deleted", "those that are deleted")
    .option("--json", "print JSON");
  addDoorOptions(list, "api").action(async (source: string, options: SinkOptions) => {
    const api = await openApi(options, io);
    const name = options.deleted === true ? "listDeletedSinks" : "listSinks";
    const key = { ...BRANCH, sourceId: source };
    const page = (afterId: string) => api.call(name, { ...key, ...(afterId === "" ? {} : { afterId }) });
    const sinks = await api.all(page, (one) => one.sinks);
    if (options.json === true) return io.out(`${JSON.stringify(sinks)}\n`);
    io.out(renderTable(["ID", "NAME", "TABLE", "COLUMNS", "STATE", "VERSION"], sinks.map(rowOf)));
  });
  const get = entityCommand(group, "get", "sink").description("Show a sink").option("--json", "print JSON");
  addDoorOptions(get, "api").action(async (...args: unknown[]) => {
    const { ids, options } = entityArguments<SinkOptions>("sink", args);
    const sink = await (await openApi(options, io)).call("getSink", { ...BRANCH, ...ids });
    io.out(options.json === true ? `${JSON.stringify(sink)}\n` : fieldsOf(sink));
  });
}

function addCreate(group: Command, io: CliIo): void {
  const create = group
    .command("create")
    .description("Create a sink of a source")
    .argument("<source>", "id of the source")
    .argument("<id>", "id of the sink, 1 to 48 characters")
    .requiredOption("--table <SCHEMA.TABLE>", "target table, e.g. main.flights")
    .requiredOption("--columns <JSON|@FILE>", COLUMNS)
    .option("--target <KIND>", "duckdb, postgres, clickhouse or parquet", "duckdb")
    .option(
      "--connection <JSON|@FILE>",
      "where the target is and how to log in (docs/sinks.md); a file hides a password from lists of processes",
    )
    .option("--name <NAME>", "name (default: the id)")
    .option("--description <TEXT>", "description")
    .option("--setting <NAME=VALUE>", "a setting of this sink; may be repeated (docs/sinks.md)", collect, [])
    .option("--json", "print the sink as JSON");
  addDoorOptions(create, "api").action(async (source: string, id: string, options: SinkOptions) => {
    const { name = id, description = "" } = options;
    const table = await tableOf(options);
    const settings = Object.fromEntries(options.setting.map((one) => parseSetting(one, "--setting")));
    const body = { type: "table", sinkId: id, name, description, table, settings } as const;
    const api = await openApi(options, io);
    const key = { ...BRANCH, sourceId: source };
    const task = await api.end(await api.call("createSink", { ...key, body }));
    const sinkId = task.outputs?.sinkId ?? id;
    if (options.json !== true) return io.out(`${sinkId}\n`);
    io.out(`${JSON.stringify(await api.call("getSink", { ...key, sinkId }))}\n`);
  });
}

/** The API checks what kinds there are, and what each of them needs. @throws {UsageError} */
async function tableOf({ table: tableId, columns, ...rest }: SinkOptions): Promise<CreateSink["table"]> {
  const { target, connection } = rest;
  const mapping = await mappingOf(columns);
  const login = connection === undefined ? {} : { connection: readJson("--connection", connection) };
  return { type: target, tableId, mapping, ...login } as CreateSink["table"];
}

/** @throws {UsageError} */
async function mappingOf(columns: string): Promise<CreateSink["table"]["mapping"]> {
  const { readColumns } = await import("./sink-columns.ts");
  return { columns: [...readColumns(columns)] };
}

function addStatistics(group: Command, io: CliIo): void {
  const statistics = entityCommand(group, "statistics", "sink")
    .description("Show what a sink has taken and loaded")
    .option("--files", "by file")
    .option("--failed", "only files that have failed; with --files")
    .option("--clear", "let the statistics begin anew")
    .option("--json", "print JSON");
  addDoorOptions(statistics, "api").action(async (...args: unknown[]) => {
    const { ids, options } = entityArguments<SinkOptions>("sink", args);
    const api = await openApi(options, io);
    const key = { ...BRANCH, ...ids };
    const { json } = options;
    if (options.clear === true) {
      await api.call("clearSinkStatistics", key);
      return io.out(json === true ? "{}\n" : "Statistics begin anew.\n");
    }
    if (options.files === true) {
      const { files } = await api.call("sinkStatisticsFiles", {
        ...key,
        ...given({ failedFiles: options.failed }),
      });
      return io.out(json === true ? `${JSON.stringify(files)}\n` : filesTable(files));
    }
    const total = await api.call("sinkStatisticsTotal", key);
    if (json === true) return io.out(`${JSON.stringify(total)}\n`);
    const { local, staging, target } = total.levels;
    const rows = Object.entries({ local, staging, target }).map(([name, level]) => levelRow(name, level));
    io.out(renderTable(["LEVEL", "RECORDS", "BYTES", "FIRST", "LAST"], rows));
    io.out(`Not in the table: ${total.lag.bytes} bytes, the oldest record for ${total.lag.seconds} s.\n`);
  });
}

function levelRow(name: string, level: Level | undefined): readonly string[] {
  if (level === undefined) return [name, "0", "0", "", ""];
  const { recordsCount, uncompressedSize, firstRecordAt = "", lastRecordAt = "" } = level;
  return [name, String(recordsCount), String(uncompressedSize), firstRecordAt, lastRecordAt];
}

function filesTable(files: readonly FileStatistics[]): string {
  const rows = files.map(({ fileId, state, openedAt, importedAt = "", retryReason = "", statistics }) => {
    return [fileId, state, String(statistics.total?.recordsCount ?? 0), openedAt, importedAt, retryReason];
  });
  return renderTable(["FILE", "STATE", "RECORDS", "OPENED", "IMPORTED", "FAILED"], rows);
}

function rowOf(sink: Sink): readonly string[] {
  const { sinkId, name, table, version } = sink;
  const columns = table.mapping.columns.map((column) => column.name).join(",");
  return [sinkId, name, table.tableId, columns, stateWord(sink), String(version.number)];
}

function fieldsOf(sink: Sink): string {
  const { sourceId, sinkId, name, description, table, settings, version, created } = sink;
  return renderFields([
    ["id", sinkId],
    ["source", sourceId],
    ["name", name],
    ["description", description],
    ["table", table.tableId],
    ["columns", table.mapping.columns.map((column) => `${column.name} (${column.type})`).join(", ")],
    ...Object.entries(settings).map(([key, value]) => [key, String(value)] as const),
    ["state", stateOf(sink)],
    ["version", `${version.number}: ${version.description}`],
    ["changed", version.at],
    ["created", created.at],
  ]);
}
