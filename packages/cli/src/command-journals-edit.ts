// `millrace journals edit`: its options.
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import { TRANSACTION_HELP } from "./command-journals-apply.ts";
import type { EditOptions } from "./run-journals-edit.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export function addJournalsEdit(group: Command, io: CliIo): void {
  const command = group
    .command("edit")
    .description("Edit the specs of journals in $GAZ_EDITOR, $EDITOR or vi, and apply what changed")
    .requiredOption("-l, --selector <SELECTOR>", "label selector, e.g. prefix=examples/")
    .option("--max-txn-size <N>", TRANSACTION_HELP)
    .option("--json", "print the result as JSON");
  addBrokerOptions(command).action(async (options: EditOptions) => {
    const { runEdit } = await import("./run-journals-edit.ts");
    await runEdit(options, io);
  });
}
