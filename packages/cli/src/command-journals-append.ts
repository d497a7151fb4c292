// `millrace journals append`: its options.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { AppendOptions } from "./run-journals-append.ts";
import { addDoorOptions } from "./system-doors.ts";

export function addJournalsAppend(group: Command, io: CliIo): void {
  const framing = new Option(
    "-f, --framing <FRAMING>",
    "none: all of it as one atomic append; lines: whole lines",
  );
  const command = group
    .command("append")
    .description("Append stdin or a file to the journal that a selector matches")
    .requiredOption(
      "-l, --selector <SELECTOR>",
      "label selector that matches one journal, e.g. name=examples/foobar",
    )
    .addOption(new Option("-i, --input <FILE>", "what to append").default("-", "stdin"))
    .addOption(framing.choices(["none", "lines"]).default("none"))
    .option("--json", "print the committed offsets as JSON");
  addDoorOptions(command, "broker").action(async (options: AppendOptions) => {
    const { runAppend } = await import("./run-journals-append.ts");
    await runAppend(options, io);
  });
}
