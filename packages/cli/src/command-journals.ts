// `millrace journals`: the group, and what its commands share.
import type { Command } from "commander";
import { silentLogger, systemClock } from "@millrace/base";
import type { HttpTransport } from "@millrace/client";
import { ANY_LABELS, parseLabelSelector, type LabelSelector } from "@millrace/protocol";
import type { CliIo } from "./cli-io.ts";
import { addJournalsAppend } from "./command-journals-append.ts";
import { addJournalsApply } from "./command-journals-apply.ts";
import { addJournalsFragments } from "./command-journals-fragments.ts";
import { addJournalsList } from "./command-journals-list.ts";
import { addJournalsRead } from "./command-journals-read.ts";
import { openTransport, type DoorOptions } from "./system-doors.ts";

export function addJournalsCommand(program: Command, io: CliIo): void {
  const group = program.command("journals").description("List, change, read and append to journals");
  addJournalsList(group, io);
  addJournalsApply(group, io);
  addJournalsRead(group, io);
  addJournalsAppend(group, io);
  addJournalsFragments(group, io);
}

/** Runs `work` with a transport to the broker, and closes it. */
export async function withTransport<T>(options: DoorOptions, work: (transport: HttpTransport) => Promise<T>): Promise<T> {
  const transport = openTransport(options);
  try {
    return await work(transport);
  } finally {
    await transport.close();
  }
}

/** @throws {WireError} INVALID_ARGUMENT with the parser's text */
export function selectorOf(text: string | undefined): LabelSelector {
  return text === undefined ? ANY_LABELS : parseLabelSelector(text);
}

export const CLIENT_PORTS = { clock: systemClock, logger: silentLogger } as const;
