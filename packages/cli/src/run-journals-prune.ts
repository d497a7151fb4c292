// `millrace journals prune`: removes old fragments from their stores, past the brokers, which learn of it from their
// next listing. Oldest first, so that a run that is cut off leaves no hole.
import { listAllFragments } from "@millrace/client";
import { contentPath, type Fragment, type JournalSpec } from "@millrace/protocol";
import { openFragmentStores } from "@millrace/server";
import { renderBoxTable } from "./box-table.ts";
import type { CliIo } from "./cli-io.ts";
import { awake, selectedJournals } from "./journal-selection.ts";
import { iecBytes } from "./readable-amounts.ts";
import { prunableFragments } from "./prunable-fragments.ts";
import { withBroker, type BrokerDoor, type BrokerDoorOptions } from "./system-broker-door.ts";
import { DEFAULT_DATA } from "./system-doors.ts";

export interface PruneOptions extends BrokerDoorOptions {
  readonly selector: string;
  readonly dryRun?: true;
  readonly fileRoot?: string;
  readonly json?: true;
}

interface Pruned {
  readonly journal: string;
  readonly fragments: number;
  readonly fragmentsPruned: number;
  /** Of the journal; compressed they are fewer in the store. */
  readonly bytes: number;
  readonly bytesPruned: number;
}

export async function runPrune(options: PruneOptions, io: CliIo): Promise<void> {
  await withBroker(options, io, async (door) => {
    const journals = await selectedJournals(door.transport, options.selector, io.signal);
    const stores = await openFragmentStores(options.fileRoot ?? options.data ?? DEFAULT_DATA);
    const remove = async (fragment: Fragment): Promise<void> => {
      const path = contentPath(fragment);
      if (options.dryRun !== true) await stores.open(fragment.backingStore).remove(path, io.signal);
      if (options.json !== true) {
        // Without the arguments of the store's URL.
        const where = fragment.backingStore.replace(/\?.*$/, "") + path;
        io.err(`${options.dryRun === true ? "would remove" : "removed"} ${where}\n`);
      }
    };
    const all: Pruned[] = [];
    try {
      for (const { spec } of awake(journals)) all.push(await prune(door, spec, remove, io.signal));
    } finally {
      report(all, options, io);
    }
  });
}

async function prune(
  { transport, clock }: BrokerDoor,
  spec: JournalSpec,
  remove: (fragment: Fragment) => Promise<void>,
  signal: AbortSignal,
): Promise<Pruned> {
  const answer = await listAllFragments(transport, { journal: spec.name }, signal);
  const fragments = answer.fragments.map((each) => each.spec);
  const aged = prunableFragments(fragments, spec.fragment.retentionMs, clock.wallMs());
  for (const fragment of aged) await remove(fragment);
  return {
    journal: spec.name,
    fragments: fragments.length,
    fragmentsPruned: aged.length,
    bytes: bytesOf(fragments),
    bytesPruned: bytesOf(aged),
  };
}

function bytesOf(fragments: readonly Fragment[]): number {
  return fragments.reduce((sum, { begin, end }) => sum + end - begin, 0);
}

function report(all: readonly Pruned[], options: PruneOptions, io: CliIo): void {
  const dryRun = options.dryRun === true;
  if (options.json === true) {
    for (const each of all) io.out(`${JSON.stringify({ ...each, dryRun })}\n`);
    return;
  }
  const rows = all.map((each) => [
    each.journal,
    String(each.fragments),
    iecBytes(each.bytes),
    String(each.fragmentsPruned),
    iecBytes(each.bytesPruned),
  ]);
  io.out(renderBoxTable(["JOURNAL", "FRAGMENTS", "LENGTH", "PRUNED", "PRUNED LENGTH"], rows));
}
