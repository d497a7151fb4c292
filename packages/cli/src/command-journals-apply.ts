// `millrace journals apply`: its options.
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { ApplyOptions } from "./run-journals-apply.ts";
import { addDoorOptions } from "./system-doors.ts";

export function addJournalsApply(group: Command, io: CliIo): void {
  const command = group
    .command("apply")
    .description("Create, change or delete journals as a YAML journalspace says")
    .requiredOption("--specs <FILE>", "YAML file; - is stdin")
    .option("--dry-run", "check the specs and print what would be applied")
    .option("--json", "print the result as JSON");
  addDoorOptions(command, "broker").action(async (options: ApplyOptions) => {
    const { runApply } = await import("./run-journals-apply.ts");
    await runApply(options, io);
  });
}
