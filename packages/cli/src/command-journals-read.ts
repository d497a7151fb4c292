// `millrace journals read`: bytes of the matching journals to stdout, spans of one journal at a time.
import type { Command } from "commander";
import { WireError } from "@millrace/base";
import { listJournals, readJournal } from "@millrace/client";
import { UsageError, type CliIo } from "./cli-io.ts";
import { CLIENT_PORTS, selectorOf, withTransport } from "./command-journals.ts";
import { addDoorOptions, type DoorOptions } from "./system-doors.ts";

interface ReadOptions extends DoorOptions {
  readonly selector: string;
  readonly block?: true;
  readonly tail?: true;
  readonly offset?: string;
  readonly json?: true;
}

export function addJournalsRead(group: Command, io: CliIo): void {
  const command = group
    .command("read")
    .description("Read the journals that a selector matches to stdout")
    .requiredOption("-l, --selector <SELECTOR>", "label selector, e.g. name=examples/foobar")
    .option("-b, --block", "wait for new content, until interrupted")
    .option("--tail", "begin at the write head")
    .option("--offset <N>", "begin at this offset (default 0)")
    .option("--json", "print each span as a line {journal, offset, text}");
  addDoorOptions(command, "broker").action((options: ReadOptions) =>
    withTransport(options, async (transport) => {
      const { journals } = await listJournals(transport, selectorOf(options.selector), io.signal);
      if (journals.length === 0) io.err(`no journals match selector ${options.selector}\n`);
      const offset = beginOffset(options);
      const read = async (journal: string): Promise<void> => {
        const wanted = { journal, offset, block: options.block === true };
        for await (const event of readJournal({ transport, ...CLIENT_PORTS }, wanted, io.signal)) {
          if (event.kind === "jump") io.err(`${journal}: offsets ${event.from} to ${event.to} are gone\n`);
          else if (options.json === true) io.out(jsonSpan(journal, event.offset, event.bytes));
          else io.outBytes(event.bytes);
        }
      };
      try {
        await Promise.all(journals.map(({ spec }) => read(spec.name)));
      } catch (error) {
        const isStopped = io.signal.aborted && error instanceof WireError && error.code === "SHUTTING_DOWN";
        if (!isStopped) throw error;
      }
    }),
  );
}

function beginOffset(options: ReadOptions): number {
  if (options.tail === true) return -1;
  const offset = Number(options.offset ?? "0");
  if (!Number.isSafeInteger(offset) || offset < -1) {
    throw new UsageError(`--offset ${options.offset}: expected an integer >= -1`);
  }
  return offset;
}

function jsonSpan(journal: string, offset: number, bytes: Uint8Array): string {
  return `${JSON.stringify({ journal, offset, text: Buffer.from(bytes).toString() })}\n`;
}
