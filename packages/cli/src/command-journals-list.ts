// `millrace journals list`: its options.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { ListOptions } from "./run-journals-list.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export function addJournalsList(group: Command, io: CliIo): void {
  const command = group
    .command("list")
    .description("List journals that a selector matches")
    .option(
      "-l, --selector <SELECTOR>",
      "label selector, e.g. 'prefix=examples/, content-type in (text/plain)'",
    )
    .addOption(
      new Option(
        "-o, --format <FORMAT>",
        "how to print; json and proto: the whole answer, as gazctl writes it",
      )
        .choices(["table", "yaml", "json", "proto"])
        .default("table"),
    )
    .option("--json", "the whole answer as one JSON object, with the names that REST has")
    .option("-L, --label-columns <NAME>", "a column for this label; may be repeated", collect)
    .option("-p, --primary", "show who is primary")
    .option("-r, --replicas", "show who is replica")
    .option("--rf", "show the replication factor")
    .option("--stores", "show the first fragment store")
    .option("--watch", "list again at each change, until interrupted");
  addBrokerOptions(command).action(async (options: ListOptions) => {
    const { runList } = await import("./run-journals-list.ts");
    await runList(options, io);
  });
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...value.split(",")];
}
