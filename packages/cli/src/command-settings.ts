// `millrace settings`: of a source, which hold for its sinks, or of one sink.
import type { Command } from "commander";
import type { Task } from "@millrace/api-client";
import { UsageError, type CliIo } from "./cli-io.ts";
import { BRANCH, collect, given, parseSetting, type JsonOptions } from "./stream-options.ts";
import { openApi, type ApiDoor } from "./system-api-door.ts";
import { addDoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

interface SettingsOptions extends JsonOptions {
  readonly set: readonly string[];
  readonly unset: readonly string[];
  readonly change?: string;
  readonly all?: true;
}

export function addSettingsCommand(program: Command, io: CliIo): void {
  const group = program
    .command("settings")
    .description("Show and change the settings of a source, which hold for its sinks, or of one sink");
  const list = settingsCommand(group, "list")
    .description("List settings with their values")
    .option("--all", "also those that nobody but an operator may change")
    .option("--json", "print JSON");
  addDoorOptions(list, "api").action(
    async (source: string, sink: string | undefined, options: SettingsOptions) => {
      const api = await openApi(options, io);
      const { settings } = await (sink === undefined
        ? api.call("getSourceSettings", { ...BRANCH, sourceId: source })
        : api.call("getSinkSettings", { ...BRANCH, sourceId: source, sinkId: sink }));
      const shown = settings.filter((one) => options.all === true || !one.protected);
      if (options.json === true) return io.out(`${JSON.stringify(shown)}\n`);
      const rows = shown.map(({ key, value, defaultValue, overwritten }) => {
        return [key, String(value), String(defaultValue), overwritten ? "set" : ""];
      });
      io.out(renderTable(["KEY", "VALUE", "DEFAULT", "SET"], rows));
    },
  );
  const update = settingsCommand(group, "update")
    .description("Change settings; what is not named stays")
    .option("--set <KEY=VALUE>", "give a setting a value; may be repeated", collect, [])
    .option("--unset <KEY>", "let a setting's default hold; may be repeated", collect, [])
    .option("--change <TEXT>", "what the new version's description says")
    .option("--json", "print the finished task as JSON");
  addDoorOptions(update, "api").action(
    async (source: string, sink: string | undefined, options: SettingsOptions) => {
      const settings = [
        ...options.set.map((one) => parseSetting(one, "--set")).map(([key, value]) => ({ key, value })),
        ...options.unset.map((key) => ({ key, value: null })),
      ];
      if (settings.length === 0)
        throw new UsageError("nothing to change: give --set KEY=VALUE or --unset KEY");
      const api = await openApi(options, io);
      const body = { settings, ...given({ changeDescription: options.change }) };
      const task = await api.end(await patch(api, source, sink, body));
      io.out(options.json === true ? `${JSON.stringify(task)}\n` : `${task.result ?? task.status}\n`);
    },
  );
}

export interface SettingsPatch {
  readonly settings: readonly { readonly key: string; readonly value: string | number | boolean | null }[];
  readonly changeDescription?: string;
}

function patch(
  api: ApiDoor,
  sourceId: string,
  sinkId: string | undefined,
  body: SettingsPatch,
): Promise<Task> {
  const key = { ...BRANCH, sourceId, body };
  return sinkId === undefined
    ? api.call("updateSourceSettings", key)
    : api.call("updateSinkSettings", { ...key, sinkId });
}

function settingsCommand(group: Command, name: string): Command {
  return group
    .command(name)
    .argument("<source>", "id of the source")
    .argument("[sink]", "id of its sink (default: the source's own settings)");
}
