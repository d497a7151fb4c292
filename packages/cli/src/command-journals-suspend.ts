// `millrace journals suspend`: its options.
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { SuspendOptions } from "./run-journals-suspend.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export function addJournalsSuspend(group: Command, io: CliIo): void {
  const command = group
    .command("suspend")
    .description(
      "Suspend idle journals, one step each: to a single replica, or to none when no fragment is left. " +
        "The next append resumes them",
    )
    .requiredOption("-l, --selector <SELECTOR>", "label selector, e.g. prefix=examples/")
    .option("-f, --force", "also journals that have fragments which are not persisted yet")
    .option("--json", "print a line of JSON for each journal: {journal, status}");
  addBrokerOptions(command).action(async (options: SuspendOptions) => {
    const { runSuspend } = await import("./run-journals-suspend.ts");
    await runSuspend(options, io);
  });
}
