// `millrace journals read`: its options.
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { ReadOptions } from "./run-journals-read.ts";
import { addDoorOptions } from "./system-doors.ts";

export function addJournalsRead(group: Command, io: CliIo): void {
  const command = group
    .command("read")
    .description("Read the journals that a selector matches to stdout")
    .requiredOption("-l, --selector <SELECTOR>", "label selector, e.g. name=examples/foobar")
    .option("-b, --block", "wait for new content, until interrupted")
    .option("--tail", "begin at the write head")
    .option("--offset <N>", "begin at this offset; -1 is the write head (default: 0)")
    .option("--json", "print each span as a line {journal, offset, text}, or base64 where it is not UTF-8");
  addDoorOptions(command, "broker").action(async (options: ReadOptions) => {
    const { runRead } = await import("./run-journals-read.ts");
    await runRead(options, io);
  });
}
