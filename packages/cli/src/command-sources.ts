// `millrace sources`: where records come in.
import { Option, type Command } from "commander";
import type { Source } from "@millrace/api-client";
import type { CliIo } from "./cli-io.ts";
import { addLifecycleCommands, entityArguments, entityCommand, onChange } from "./command-lifecycle.ts";
import { readAll } from "./read-all.ts";
import { BRANCH, given, renderFields, stateOf, stateWord, type JsonOptions } from "./stream-options.ts";
import { openApi } from "./system-api-door.ts";
import { addDoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

interface SourceOptions extends JsonOptions {
  readonly type: "http" | "otlp";
  readonly name?: string;
  readonly description?: string;
  readonly change?: string;
  readonly deleted?: true;
  readonly cascade?: true;
  readonly clear?: true;
  readonly contentType: string;
}

export function addSourcesCommand(program: Command, io: CliIo): void {
  const group = program.command("sources").description("Work on sources: where records come in");
  addReading(group, io);
  addCreate(group, io);
  const update = entityCommand(group, "update", "source")
    .description("Change a source; what is not given stays")
    .option("--name <NAME>", "name")
    .option("--description <TEXT>", "description")
    .option("--change <TEXT>", "what the new version's description says");
  onChange<SourceOptions>(update, "source", io, (api, ids, _more, { name, description, change }) => {
    const body = given({ name, description, changeDescription: change });
    return api.call("updateSource", { ...BRANCH, ...ids, body });
  });
  const remove = entityCommand(group, "delete", "source")
    .description("Delete a source and with it its sinks; it can be undeleted")
    .option("--cascade", "remove it with all that is its own, its tables too: nothing of it comes back");
  onChange<SourceOptions>(remove, "source", io, (api, ids, _more, { cascade }) => {
    return api.call("deleteSource", { ...BRANCH, ...ids, ...given({ cascade }) });
  });
  addLifecycleCommands(group, "source", io);
  addStatistics(group, io);
  addSecret(group, io);
  addTest(group, io);
}

function addReading(group: Command, io: CliIo): void {
  const list = group
    .command("list")
    .description("List sources")
    .option("--deleted", "those that are deleted")
    .option("--json", "print JSON");
  addDoorOptions(list, "api").action(async (options: SourceOptions) => {
    const api = await openApi(options, io);
    const name = options.deleted === true ? "listDeletedSources" : "listSources";
    const page = (afterId: string) => api.call(name, { ...BRANCH, ...(afterId === "" ? {} : { afterId }) });
    const sources = await api.all(page, (one) => one.sources);
    if (options.json === true) return io.out(`${JSON.stringify(sources)}\n`);
    io.out(renderTable(["ID", "NAME", "TYPE", "STATE", "VERSION", "URL"], sources.map(rowOf)));
  });
  const get = entityCommand(group, "get", "source")
    .description("Show a source")
    .option("--json", "print JSON");
  addDoorOptions(get, "api").action(async (id: string, options: SourceOptions) => {
    const source = await (await openApi(options, io)).call("getSource", { ...BRANCH, sourceId: id });
    io.out(options.json === true ? `${JSON.stringify(source)}\n` : fieldsOf(source));
  });
}

function addCreate(group: Command, io: CliIo): void {
  const create = group
    .command("create")
    .description("Create a source and print its URL")
    .argument("<id>", "id of the source, 1 to 48 characters")
    .addOption(new Option("--type <TYPE>", "what it takes").choices(["http", "otlp"]).default("http"))
    .option("--name <NAME>", "name (default: the id)")
    .option("--description <TEXT>", "description")
    .option("--json", "print the source as JSON");
  addDoorOptions(create, "api").action(async (id: string, options: SourceOptions) => {
    const api = await openApi(options, io);
    const { type, name = id, description = "" } = options;
    const body = { type, sourceId: id, name, description };
    const task = await api.end(await api.call("createSource", { ...BRANCH, body }));
    // The ID as it was normalised.
    const source = await api.call("getSource", { ...BRANCH, sourceId: task.outputs?.sourceId ?? id });
    io.out(options.json === true ? `${JSON.stringify(source)}\n` : `${urlOf(source)}\n`);
  });
}

function addStatistics(group: Command, io: CliIo): void {
  const statistics = entityCommand(group, "statistics", "source")
    .description("Show what the sinks of a source have taken and loaded")
    .option("--clear", "let the statistics of all its sinks begin anew")
    .option("--json", "print JSON");
  addDoorOptions(statistics, "api").action(async (id: string, options: SourceOptions) => {
    const api = await openApi(options, io);
    const key = { ...BRANCH, sourceId: id };
    if (options.clear === true) {
      await api.call("clearSourceStatistics", key);
      return io.out(options.json === true ? "{}\n" : "Statistics begin anew.\n");
    }
    const sinks = await api.all(
      (afterId) => api.call("listSinks", { ...key, ...(afterId === "" ? {} : { afterId }) }),
      (one) => one.sinks,
    );
    const found = await Promise.all(
      sinks.map(async ({ sinkId }) => ({
        sinkId,
        ...(await api.call("sinkStatisticsTotal", { ...key, sinkId })),
      })),
    );
    if (options.json === true) return io.out(`${JSON.stringify(found)}\n`);
    const rows = found.map(({ sinkId, levels: { local, staging, target }, lag }) => [
      sinkId,
      ...[local, staging, target].map((level) => String(level?.recordsCount ?? 0)),
      String(lag.bytes),
      String(lag.seconds),
    ]);
    io.out(renderTable(["SINK", "LOCAL", "STAGING", "TARGET", "LAG BYTES", "LAG SECONDS"], rows));
  });
}

function addSecret(group: Command, io: CliIo): void {
  const rotate = entityCommand(group, "rotate-secret", "source")
    .description("Give a source a new secret and print its new URL: the old one is not known any more")
    .option("--json", "print the source as JSON");
  addDoorOptions(rotate, "api").action(async (id: string, options: SourceOptions) => {
    const source = await (await openApi(options, io)).call("rotateSourceSecret", { ...BRANCH, sourceId: id });
    io.out(options.json === true ? `${JSON.stringify(source)}\n` : `${urlOf(source)}\n`);
  });
}

function addTest(group: Command, io: CliIo): void {
  const command = entityCommand(group, "test", "source")
    .argument("[record]", "the record (default: stdin)")
    .description("Show the rows that the sinks of a source make of a record; nothing is stored")
    .option("--content-type <TYPE>", "type of the record", "application/json")
    .option("--json", "print JSON");
  addDoorOptions(command, "api").action(async (...args: unknown[]) => {
    const { ids, more, options } = entityArguments<SourceOptions>("source", args);
    const [record] = more;
    const body = record === undefined || record === "-" ? await readAll(io.stdin) : record;
    const { contentType } = options;
    const api = await openApi(options, io);
    const { tables } = await api.call("testSource", { ...BRANCH, ...ids, body, contentType });
    if (options.json === true) return io.out(`${JSON.stringify(tables)}\n`);
    const rows = tables.flatMap(({ sinkId, rows: made }) =>
      made.flatMap(({ columns }) => columns.map(({ name, value }) => [sinkId, name, value])),
    );
    io.out(renderTable(["SINK", "COLUMN", "VALUE"], rows));
  });
}

function urlOf({ http, otlp }: Source): string {
  return http?.url ?? otlp?.url ?? "";
}

function rowOf(source: Source): readonly string[] {
  const { sourceId, name, type, version } = source;
  return [sourceId, name, type, stateWord(source), String(version.number), urlOf(source)];
}

function fieldsOf(source: Source): string {
  const { sourceId, name, type, description, version, created } = source;
  return renderFields([
    ["id", sourceId],
    ["name", name],
    ["type", type],
    ["description", description],
    ["url", urlOf(source)],
    ["state", stateOf(source)],
    ["version", `${version.number}: ${version.description}`],
    ["changed", version.at],
    ["created", created.at],
  ]);
}
