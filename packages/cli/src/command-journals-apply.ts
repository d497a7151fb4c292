// `millrace journals apply`: its options.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { ApplyOptions } from "./run-journals-apply.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export const TRANSACTION_HELP =
  "changes of one transaction; when there are more, earlier transactions stay if a later one fails; 0: never more " +
  "than one transaction (default: 64)";

export function addJournalsApply(group: Command, io: CliIo): void {
  const command = group
    .command("apply")
    .description("Create, change or delete journals as a YAML journalspace says")
    .addOption(new Option("--specs <FILE>", "YAML file").default("-", "stdin"))
    .option("--dry-run", "check the specs and print what would be applied")
    .option("--max-txn-size <N>", TRANSACTION_HELP)
    .option("--json", "print the result as JSON");
  addBrokerOptions(command).action(async (options: ApplyOptions) => {
    const { runApply } = await import("./run-journals-apply.ts");
    await runApply(options, io);
  });
}
