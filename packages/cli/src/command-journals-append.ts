// `millrace journals append`: its options.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { AppendOptions } from "./run-journals-append.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export function addJournalsAppend(group: Command, io: CliIo): void {
  const framing = new Option(
    "-f, --framing <FRAMING>",
    "none: all of it as one atomic append; lines: records that end with a newline; fixed: records with a header of " +
      "8 bytes (66 33 93 36, then the length as u32 little-endian)",
  );
  const mapping = new Option(
    "-m, --mapping <MAPPING>",
    "to append to several journals. random: any of them; modulo, rendezvous: by a key that stands before each " +
      "record, framed alike; direct: the key is the journal's name (default: the selector matches one journal)",
  );
  const command = group
    .command("append")
    .description("Append stdin or a file to the journals that a selector matches")
    .requiredOption(
      "-l, --selector <SELECTOR>",
      "label selector, of one journal unless there is a --mapping, e.g. name=examples/foobar",
    )
    .addOption(new Option("-i, --input <FILE>", "what to append").default("-", "stdin"))
    .addOption(framing.choices(["none", "lines", "fixed"]).default("none"))
    .addOption(mapping.choices(["random", "modulo", "rendezvous", "direct"]))
    .option("--base64", "keys of lines are base64")
    .option(
      "--timeout <DURATION>",
      "how long to go on while the journal cannot be written; 0s: not at all (default: 1m; records: until it is " +
        "interrupted)",
    )
    .option("--json", "print the committed offsets as a line of JSON for each journal");
  addBrokerOptions(command).action(async (options: AppendOptions) => {
    const { runAppend } = await import("./run-journals-append.ts");
    await runAppend(options, io);
  });
}
