// `millrace dead-letters`: records that a sink could not map, and their way back once its mapping is mended.
import type { Command } from "commander";
import { UsageError, type CliIo } from "./cli-io.ts";
import { BRANCH, given, type JsonOptions } from "./stream-options.ts";
import { openApi } from "./system-api-door.ts";
import { addDoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

interface ListOptions extends JsonOptions {
  readonly limit: string;
  readonly after?: string;
}

/** Of one answer of the API. */
const LIMIT_MAX = 100;

export function addDeadLettersCommand(program: Command, io: CliIo): void {
  const group = program
    .command("dead-letters")
    .description("Show records that a sink could not map, and map them again");
  const list = group
    .command("list")
    .description("List dead letters that wait, the oldest first")
    .argument("<source>", "id of the source")
    .argument("<sink>", "id of the sink")
    .option("--limit <COUNT>", `so many at most, from 1 to ${LIMIT_MAX}`, "20")
    .option("--after <ID>", "those behind this one")
    .option("--json", "print JSON, with the first 4 KiB of each body");
  addDoorOptions(list, "api").action(async (sourceId: string, sinkId: string, options: ListOptions) => {
    const key = { ...BRANCH, sourceId, sinkId, limit: limitOf(options.limit) };
    const api = await openApi(options, io);
    const { deadLetters, page } = await api.call("listDeadLetters", {
      ...key,
      ...given({ afterId: options.after }),
    });
    if (options.json === true) return io.out(`${JSON.stringify(deadLetters)}\n`);
    const rows = deadLetters.map(({ id, receivedAt, version, attempts, reason }) => {
      return [id, receivedAt, String(version), String(attempts), reason];
    });
    io.out(renderTable(["ID", "RECEIVED", "VERSION", "ATTEMPTS", "REASON"], rows));
    io.err(`${page.totalCount} wait\n`);
  });
  const replay = group
    .command("replay")
    .description(
      "Map a sink's dead letters by its newest mapping: each becomes a row, once, or is refused again",
    )
    .argument("<source>", "id of the source")
    .argument("<sink>", "id of the sink")
    .option("--json", "print the task as JSON");
  addDoorOptions(replay, "api").action(async (sourceId: string, sinkId: string, options: JsonOptions) => {
    const api = await openApi(options, io);
    const task = await api.end(await api.call("replayDeadLetters", { ...BRANCH, sourceId, sinkId }));
    io.out(options.json === true ? `${JSON.stringify(task)}\n` : `${task.result ?? ""}\n`);
  });
}

function limitOf(text: string): number {
  const limit = Number(text);
  if (/^\d{1,3}$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new UsageError(`--limit ${text}: expected a whole number from 1 to ${LIMIT_MAX}`);
}
