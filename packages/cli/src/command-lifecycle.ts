// Commands that sources and sinks have alike: enable, disable, delete, undelete, versions, rollback.
import type { Command } from "commander";
import type { Task } from "@millrace/api-client";
import type { CliIo } from "./cli-io.ts";
import { BRANCH, renderVersions, versionNumber, type JsonOptions } from "./stream-options.ts";
import { openApi, type ApiDoor } from "./system-api-door.ts";
import { addDoorOptions } from "./system-doors.ts";

export type EntityKind = "source" | "sink";

/** Arguments that name one, in their order. */
export const ENTITY_ARGUMENTS = {
  source: [["<id>", "id of the source"]],
  sink: [
    ["<source>", "id of the source"],
    ["<id>", "id of the sink"],
  ],
} as const satisfies Record<EntityKind, readonly (readonly [string, string])[]>;

const VERBS = {
  enable: { source: "Let a source take records again", sink: "Let a sink take records again" },
  disable: { source: "Let a source take no records", sink: "Let a sink take no records" },
  undelete: {
    source: "Bring a deleted source back, with the sinks that were deleted with it",
    sink: "Bring a deleted sink back",
  },
} as const;
type Verb = keyof typeof VERBS;

export function addLifecycleCommands(group: Command, kind: EntityKind, io: CliIo): void {
  for (const verb of Object.keys(VERBS) as Verb[]) {
    const command = entityCommand(group, verb, kind).description(VERBS[verb][kind]);
    onChange(command, kind, io, (api, ids) => change(api, kind, verb, ids));
  }
  const versions = entityCommand(group, "versions", kind).description(`List the versions of a ${kind}`);
  addDoorOptions(versions.option("--json", "print JSON"), "api").action(async (...args: unknown[]) => {
    const { ids, options } = entityArguments<JsonOptions>(kind, args);
    const api = await openApi(options, io);
    const page = (afterId: string) => versionsPage(api, kind, ids, afterId);
    const all = await api.all(page, (one) => one.versions);
    io.out(options.json === true ? `${JSON.stringify(all)}\n` : renderVersions(all));
  });
  const rollback = entityCommand(group, "rollback", kind)
    .argument("<version>", "number of the version")
    .description("Make a new version that says what an older one said");
  onChange(rollback, kind, io, (api, ids, [version = ""]) => {
    const key = { ...BRANCH, ...ids, versionNumber: versionNumber(version) };
    return kind === "source" ? api.call("rollbackSourceVersion", key) : api.call("rollbackSinkVersion", key);
  });
}

/** IDs as the API's paths name them; a source has no sink's. */
export interface EntityIds {
  readonly sourceId: string;
  readonly sinkId: string;
}

/** A command of `group` whose first arguments name one. */
export function entityCommand(group: Command, name: string, kind: EntityKind): Command {
  const command = group.command(name);
  for (const [argument, help] of ENTITY_ARGUMENTS[kind]) command.argument(argument, help);
  return command;
}

/** What commander hands to an action: the arguments, then the options. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- commander does not know its options' types
export function entityArguments<O>(
  kind: EntityKind,
  args: readonly unknown[],
): { readonly ids: EntityIds; readonly more: readonly string[]; readonly options: O } {
  const texts = args.slice(0, -2) as readonly string[];
  const count = ENTITY_ARGUMENTS[kind].length;
  const [sourceId = "", sinkId = ""] = texts.slice(0, count);
  return { ids: { sourceId, sinkId }, more: texts.slice(count), options: args.at(-2) as O };
}

/** Runs a change, waits for its end and says what has been done. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- commander does not know its options' types
export function onChange<O extends JsonOptions>(
  command: Command,
  kind: EntityKind,
  io: CliIo,
  start: (api: ApiDoor, ids: EntityIds, more: readonly string[], options: O) => Promise<Task>,
): void {
  addDoorOptions(command.option("--json", "print the finished task as JSON"), "api").action(
    async (...args: unknown[]) => {
      const { ids, more, options } = entityArguments<O>(kind, args);
      const api = await openApi(options, io);
      const task = await api.end(await start(api, ids, more, options));
      io.out(options.json === true ? `${JSON.stringify(task)}\n` : `${task.result ?? task.status}\n`);
    },
  );
}

function change(api: ApiDoor, kind: EntityKind, verb: Verb, ids: EntityIds): Promise<Task> {
  const key = { ...BRANCH, ...ids };
  return kind === "source" ? api.call(`${verb}Source`, key) : api.call(`${verb}Sink`, key);
}

function versionsPage(api: ApiDoor, kind: EntityKind, ids: EntityIds, afterId: string) {
  const key = { ...BRANCH, ...ids, ...(afterId === "" ? {} : { afterId }) };
  return kind === "source" ? api.call("listSourceVersions", key) : api.call("listSinkVersions", key);
}
