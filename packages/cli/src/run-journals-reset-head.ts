// `millrace journals reset-head`: an empty append at the head that the fragment index shows, which says that whoever
// knows of more is gone (specification section 9.8). Harmless where nothing is wrong.
import { WireError } from "@millrace/base";
import { appendOnce, applyJournals, getJournal, readHead, type JournalTransport } from "@millrace/client";
import { givingUpTo, resumeOffset, wentOn } from "@millrace/protocol";
import { UsageError, type CliIo } from "./cli-io.ts";
import { forEachJournal } from "./each-journal.ts";
import { awake, selectedJournals } from "./journal-selection.ts";
import { withBroker, type BrokerDoorOptions } from "./system-broker-door.ts";

export interface ResetHeadOptions extends BrokerDoorOptions {
  readonly selector: string;
  readonly at?: string;
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

function offsetOf(text: string): number {
  const offset = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(offset))
    throw new UsageError(`--at ${text}: expected a whole number in [0, ${Number.MAX_SAFE_INTEGER}]`);
  return offset;
}

/** Nobody resets the head again by what was said this time. */
async function takeBack(transport: JournalTransport, journal: string, signal: AbortSignal): Promise<void> {
  const { spec, modRevision } = await getJournal(transport, journal, signal);
  const change = { expectModRevision: modRevision, upsert: wentOn(spec), delete: "" };
  await applyJournals(transport, [change], signal);
}

export async function runResetHead(options: ResetHeadOptions, io: CliIo): Promise<void> {
  const at = options.at === undefined ? undefined : offsetOf(options.at);
  await withBroker(options, io, async (door) => {
    const journals = await selectedJournals(door.transport, options.selector, io.signal);
    await forEachJournal(awake(journals), io, async (listed) => {
      const journal = listed.spec.name;
      const { writeHead } = await readHead(door.transport, journal, io.signal);
      let [offset, minEtcdRevision] = [writeHead, 0];
      if (at !== undefined) {
        // The spec says it before the head is reset: nothing can be appended below.
        const upsert = givingUpTo(listed.spec, at);
        const change = { expectModRevision: listed.modRevision, upsert, delete: "" };
        minEtcdRevision = await applyJournals(door.transport, [change], io.signal);
        offset = Math.max(writeHead, resumeOffset(upsert) ?? 0);
      }
      // A suspended journal stays as it is.
      const keep = { suspend: "SUSPEND_KEEP" } as const;
      const nothing = { kind: "bytes", bytes: [] } as const;
      const reset = await isTaken(
        appendOnce(door.transport, journal, nothing, { ...keep, offset, minEtcdRevision }, io.signal),
      );
      if (at !== undefined) await takeBack(door.transport, journal, io.signal);
      if (options.json === true) io.out(`${JSON.stringify({ journal, offset, reset })}\n`);
      else if (reset) io.err(`${journal}: appends go on at ${offset}\n`);
      else
        io.err(
          `${journal}: did not reset: it goes on at another offset, which somebody appended at meanwhile\n`,
        );
    });
  });
}
