// `millrace journals reset-head`: an empty append at the head that the fragment index shows, which says that whoever
// knows of more is gone (specification section 9.8). Harmless where nothing is wrong.
import { WireError } from "@millrace/base";
import { appendOnce, readHead } from "@millrace/client";
import type { CliIo } from "./cli-io.ts";
import { forEachJournal } from "./each-journal.ts";
import { awake, selectedJournals } from "./journal-selection.ts";
import { withBroker, type BrokerDoorOptions } from "./system-broker-door.ts";

export interface ResetHeadOptions extends BrokerDoorOptions {
  readonly selector: string;
  readonly json?: true;
}

/** @throws {WireError} but for an offset that is another one now */
async function isTaken(append: Promise<unknown>): Promise<boolean> {
  try {
    await append;
    return true;
  } catch (error) {
    if (!(error instanceof WireError) || error.code !== "WRONG_APPEND_OFFSET") throw error;
    return false;
  }
}

export async function runResetHead(options: ResetHeadOptions, io: CliIo): Promise<void> {
  await withBroker(options, io, async (door) => {
    const journals = await selectedJournals(door.transport, options.selector, io.signal);
    await forEachJournal(awake(journals), io, async ({ spec: { name: journal } }) => {
      const { writeHead: offset } = await readHead(door.transport, journal, io.signal);
      // A suspended journal stays as it is.
      const nothing = { kind: "bytes", bytes: [] } as const;
      const reset = await isTaken(
        appendOnce(door.transport, journal, nothing, { offset, suspend: "SUSPEND_KEEP" }, io.signal),
      );
      if (options.json === true) io.out(`${JSON.stringify({ journal, offset, reset })}\n`);
      else if (reset) io.err(`${journal}: appends go on at ${offset}\n`);
      else
        io.err(
          `${journal}: did not reset: it goes on at another offset, which somebody appended at meanwhile\n`,
        );
    });
  });
}
