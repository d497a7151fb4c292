// `millrace journals fragments`: its options.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { FragmentsOptions } from "./run-journals-fragments.ts";
import { addDoorOptions } from "./system-doors.ts";

export function addJournalsFragments(group: Command, io: CliIo): void {
  const command = group
    .command("fragments")
    .description("List the fragments of the journals that a selector matches")
    .requiredOption("-l, --selector <SELECTOR>", "label selector, e.g. name=examples/foobar")
    .addOption(
      new Option("-o, --format <FORMAT>", "how to print").choices(["table", "json"]).default("table"),
    )
    .option("--json", "the same as --format json: a line for each fragment")
    .option("--from <UNIX>", "only fragments persisted at or after this time, Unix seconds")
    .option("--to <UNIX>", "only fragments persisted at or before this time, Unix seconds")
    .option("--url-ttl <DURATION>", "sign URLs that are good this long, e.g. 10m");
  addDoorOptions(command, "broker").action(async (options: FragmentsOptions) => {
    const { runFragments } = await import("./run-journals-fragments.ts");
    await runFragments(options, io);
  });
}
