// `millrace journals reset-head`: its options.
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { ResetHeadOptions } from "./run-journals-reset-head.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export function addJournalsResetHead(group: Command, io: CliIo): void {
  const command = group
    .command("reset-head")
    .description(
      "Let journals go on behind their last fragment that refuse appends with INDEX_HAS_GREATER_OFFSET, or since " +
        "none of the brokers with their newest bytes can be reached. Only when these are gone for good: what they " +
        "have not persisted is given up",
    )
    .requiredOption("-l, --selector <SELECTOR>", "label selector, e.g. name=examples/foobar")
    .option(
      "--at <OFFSET>",
      "where to go on at the least: behind everything that others have taken of what is lost. Journals of sinks need " +
        "it, and refusals of their source say it",
    )
    .option("--json", "print a line of JSON for each journal: {journal, offset, reset}");
  addBrokerOptions(command).action(async (options: ResetHeadOptions) => {
    const { runResetHead } = await import("./run-journals-reset-head.ts");
    await runResetHead(options, io);
  });
}
