// `millrace journals suspend`: an empty append to each journal that asks to suspend it (specification section 4.5).
import { WireError } from "@millrace/base";
import { appendOnce, listAllFragments } from "@millrace/client";
import type { JournalSpec } from "@millrace/protocol";
import type { CliIo } from "./cli-io.ts";
import { forEachJournal } from "./each-journal.ts";
import { awake, selectedJournals } from "./journal-selection.ts";
import { notSuspended, quietAfterMs } from "./not-suspended.ts";
import { withBroker, type BrokerDoor, type BrokerDoorOptions } from "./system-broker-door.ts";

export interface SuspendOptions extends BrokerDoorOptions {
  readonly selector: string;
  readonly force?: true;
  readonly json?: true;
}

export async function runSuspend(options: SuspendOptions, io: CliIo): Promise<void> {
  await withBroker(options, io, async (door) => {
    const journals = await selectedJournals(door.transport, options.selector, io.signal);
    await forEachJournal(awake(journals), io, async ({ spec }) => {
      const { name: journal } = spec;
      const status = await suspend(door, journal, options.force === true, io.signal);
      if (options.json === true) io.out(`${JSON.stringify({ journal, status })}\n`);
      else io.err(`${journal}: ${status === "OK" ? await whyNot(door, spec, io.signal) : "suspended"}\n`);
    });
  });
}

/** @returns SUSPENDED; OK when the journal is in use, as far as that counts */
async function suspend(
  door: BrokerDoor,
  journal: string,
  isForced: boolean,
  signal: AbortSignal,
): Promise<"OK" | "SUSPENDED"> {
  const mode = isForced ? "SUSPEND_NOW" : "SUSPEND_IF_FLUSHED";
  try {
    const nothing = { kind: "bytes", bytes: [] } as const;
    await appendOnce(door.transport, journal, nothing, { suspend: mode }, signal);
    return "OK";
  } catch (error) {
    if (error instanceof WireError && error.code === "SUSPENDED") return "SUSPENDED";
    throw error;
  }
}

async function whyNot(
  { transport, clock }: BrokerDoor,
  spec: JournalSpec,
  signal: AbortSignal,
): Promise<string> {
  const nowMs = clock.wallMs();
  // Older fragments are not why; a journal may have very many.
  const beginModTime = Math.max(0, Math.floor((nowMs - quietAfterMs(spec)) / 1000));
  const { fragments } = await listAllFragments(transport, { journal: spec.name, beginModTime }, signal);
  return notSuspended(spec, fragments.at(-1)?.spec, nowMs);
}
