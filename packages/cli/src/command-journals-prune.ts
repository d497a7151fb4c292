// `millrace journals prune`: its options.
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { PruneOptions } from "./run-journals-prune.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export function addJournalsPrune(group: Command, io: CliIo): void {
  const command = group
    .command("prune")
    .description(
      "Remove fragments that are older than their journal's retention from their stores, with the credentials of " +
        "this process. Journals without a retention keep theirs, and every journal its newest",
    )
    .requiredOption("-l, --selector <SELECTOR>", "label selector, e.g. prefix=examples/")
    .option("--dry-run", "say what would be removed")
    .option("--file-root <DIR>", "directory under which file:// stores are (default: the data directory)")
    .option("--json", "print a line of JSON for each journal");
  addBrokerOptions(command).action(async (options: PruneOptions) => {
    const { runPrune } = await import("./run-journals-prune.ts");
    await runPrune(options, io);
  });
}
