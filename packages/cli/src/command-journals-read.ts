// `millrace journals read`: its options.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { ReadOptions } from "./run-journals-read.ts";
import { addBrokerOptions } from "./system-broker-door.ts";

export function addJournalsRead(group: Command, io: CliIo): void {
  const command = group
    .command("read")
    .description("Read the journals that a selector matches to stdout or a file")
    .requiredOption("-l, --selector <SELECTOR>", "label selector, e.g. name=examples/foobar")
    .option("-b, --block", "wait for new content, until interrupted")
    .option("--tail", "begin at the write head")
    .option("--offset <N>", "begin at this offset; -1 is the write head (default: 0)")
    .option("--offsets <FILE>", "JSON object of the offsets at which to begin, by journal")
    .option(
      "--offsets-out <FILE>",
      "write the offsets at which the next read would begin, at the end; of the same file as --offsets the old " +
        "one is kept as .previous",
    )
    .option("--from <UNIX>", "skip fragments persisted before this time, Unix seconds")
    .addOption(new Option("-o, --output <FILE>", "where to write to").default("-", "stdout"))
    .option("--json", "print each span as a line {journal, offset, text}, or base64 where it is not UTF-8");
  addBrokerOptions(command).action(async (options: ReadOptions) => {
    const { runRead } = await import("./run-journals-read.ts");
    await runRead(options, io);
  });
}
