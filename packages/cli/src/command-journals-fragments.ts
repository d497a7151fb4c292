// `millrace journals fragments`: its options.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { FragmentsOptions } from "./run-journals-fragments.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export function addJournalsFragments(group: Command, io: CliIo): void {
  const command = group
    .command("fragments")
    .description("List the fragments of the journals that a selector matches")
    .requiredOption("-l, --selector <SELECTOR>", "label selector, e.g. name=examples/foobar")
    .addOption(
      new Option("-o, --format <FORMAT>", "how to print; json: a line for each fragment, as gazctl writes it")
        .choices(["table", "json", "proto"])
        .default("table"),
    )
    .option(
      "--json",
      "a line of JSON for each fragment: {spec, signedUrl}, sums in hex; other than --format json",
    )
    .option("--from <UNIX>", "only fragments persisted at or after this time, Unix seconds")
    .option("--to <UNIX>", "only fragments persisted at or before this time, Unix seconds")
    .option("--url-ttl <DURATION>", "sign URLs that are good this long, e.g. 10m");
  addBrokerOptions(command).action(async (options: FragmentsOptions) => {
    const { runFragments } = await import("./run-journals-fragments.ts");
    await runFragments(options, io);
  });
}
