// `millrace journals append`: stdin or a file to one journal, as one atomic append or line by line.
import { createReadStream } from "node:fs";
import { Option, type Command } from "commander";
import { AppendService, append, listJournals, type Commit } from "@millrace/client";
import { UsageError, type CliIo } from "./cli-io.ts";
import { CLIENT_PORTS, selectorOf, withTransport } from "./command-journals.ts";
import { addDoorOptions, type DoorOptions } from "./system-doors.ts";

interface AppendOptions extends DoorOptions {
  readonly selector: string;
  readonly input: string;
  readonly framing: "none" | "lines";
  readonly json?: true;
}

/** Bytes of lines that go into one append call; the service batches further. */
const LINES_BYTES = 64 * 1024;

export function addJournalsAppend(group: Command, io: CliIo): void {
  const command = group
    .command("append")
    .description("Append stdin or a file to the journal that a selector matches")
    .requiredOption("-l, --selector <SELECTOR>", "label selector that matches one journal")
    .option("-i, --input <FILE>", "what to append; - is stdin", "-")
    .addOption(
      new Option("-f, --framing <FRAMING>", "none: all of it as one atomic append; lines: whole lines, in order")
        .choices(["none", "lines"])
        .default("none"),
    )
    .option("--json", "print the committed offsets as JSON");
  addDoorOptions(command, "broker").action((options: AppendOptions) =>
    withTransport(options, async (transport) => {
      const { journals } = await listJournals(transport, selectorOf(options.selector), io.signal);
      if (journals.length !== 1) throw new UsageError(`${options.selector} matches ${journals.length} journals, expected 1`);
      const journal = journals[0]!.spec.name;
      const input = options.input === "-" ? io.stdin : (createReadStream(options.input) as AsyncIterable<Uint8Array>);
      const ports = { transport, ...CLIENT_PORTS };
      let commit: Commit;
      if (options.framing === "none") {
        const parts: Uint8Array[] = [];
        for await (const part of input) parts.push(part);
        commit = await append(ports, journal, parts, {}, io.signal);
      } else {
        commit = await appendLines(new AppendService(ports), journal, input, io.signal);
      }
      const { begin, end } = commit;
      if (options.json === true) io.out(`${JSON.stringify({ journal, begin, end })}\n`);
      else io.err(`${journal}: committed [${begin}, ${end})\n`);
    }),
  );
}

async function appendLines(
  service: AppendService,
  journal: string,
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Commit> {
  let rest: Uint8Array = new Uint8Array();
  let first: Promise<Commit> | undefined;
  let last: Promise<Commit> | undefined;
  const send = async (bytes: Uint8Array): Promise<void> => {
    await service.room(bytes.length, signal);
    last = service.append(journal, [bytes]).done;
    first ??= last;
  };
  for await (const part of input) {
    rest = rest.length === 0 ? part : Buffer.concat([rest, part]);
    const end = rest.lastIndexOf(10) + 1;
    if (end < LINES_BYTES) continue;
    await send(rest.slice(0, end));
    rest = rest.subarray(end);
  }
  if (rest.length > 0 && rest.at(-1) !== 10) throw new UsageError("the last line has no newline: it was not appended");
  if (rest.length > 0) await send(rest.slice());
  if (first === undefined || last === undefined) throw new UsageError("the input is empty");
  const [{ begin }, commit] = await Promise.all([first, last]);
  return { ...commit, begin };
}
