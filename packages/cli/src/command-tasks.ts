// `millrace tasks`: changes that are under way, and what became of those before.
import type { Command } from "commander";
import type { Task } from "@millrace/api-client";
import type { CliIo } from "./cli-io.ts";
import { renderFields, type JsonOptions } from "./stream-options.ts";
import { openApi } from "./system-api-door.ts";
import { addDoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

export function addTasksCommand(program: Command, io: CliIo): void {
  const group = program.command("tasks").description("Show changes that are under way, and those before");
  const list = group
    .command("list")
    .description("List the newest tasks: successes are kept for an hour, others for two days")
    .option("--json", "print JSON");
  addDoorOptions(list, "api").action(async (options: JsonOptions) => {
    const { tasks } = await (await openApi(options, io)).call("listTasks", {});
    if (options.json === true) return io.out(`${JSON.stringify(tasks)}\n`);
    const rows = tasks.map(({ taskId, status, createdAt, error = "" }) => [taskId, status, createdAt, error]);
    io.out(renderTable(["ID", "STATUS", "CREATED", "ERROR"], rows));
  });
  const get = group
    .command("get")
    .description("Show a task")
    .argument("<id>", "id of the task, with its slashes")
    .option("--wait", "wait for its end; a task that fails ends with status 1")
    .option("--json", "print JSON");
  addDoorOptions(get, "api").action(async (id: string, options: JsonOptions & { readonly wait?: true }) => {
    const api = await openApi(options, io);
    const found = await api.call("getTask", { taskId: id });
    const task = options.wait === true ? await api.end(found) : found;
    io.out(options.json === true ? `${JSON.stringify(task)}\n` : fieldsOf(task));
  });
}

function fieldsOf({
  taskId,
  type,
  status,
  createdAt,
  finishedAt = "",
  result = "",
  error = "",
}: Task): string {
  return renderFields([
    ["id", taskId],
    ["type", type],
    ["status", status],
    ["created", createdAt],
    ["finished", finishedAt],
    ["result", result],
    ["error", error],
  ]);
}
