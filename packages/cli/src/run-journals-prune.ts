// `millrace journals prune`: removes old fragments from their stores, past the brokers, which learn of it from their
// next listing. Oldest first, so that a run that is cut off leaves no hole.
import { WireError, type Clock } from "@millrace/base";
import { listAllFragments, type JournalTransport } from "@millrace/client";
import { contentPath, type Fragment, type JournalSpec } from "@millrace/protocol";
import { openFragmentStores } from "@millrace/server";
import { renderBoxTable } from "./box-table.ts";
import type { CliIo } from "./cli-io.ts";
import { awake, selectedJournals } from "./journal-selection.ts";
import { iecBytes } from "./readable-amounts.ts";
import { prunableFragments } from "./prunable-fragments.ts";
import { withBroker, type BrokerDoorOptions } from "./system-broker-door.ts";
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
      if (options.dryRun !== true) {
        const isRootUnknown = fragment.backingStore.startsWith("file:") && options.fileRoot === undefined;
        const removing = stores.open(fragment.backingStore).remove(path, io.signal);
        await (isRootUnknown ? removing.catch(askForRoot) : removing);
      }
      if (options.json !== true) {
        // Without the arguments of the store's URL.
        const where = fragment.backingStore.replace(/\?.*$/, "") + path;
        io.err(`${options.dryRun === true ? "would remove" : "removed"} ${where}\n`);
      }
    };
    const all: Pruned[] = [];
    const specs = awake(journals).map(({ spec }) => spec);
    try {
      await pruneEach(door, specs, remove, (pruned) => void all.push(pruned), io);
    } finally {
      report(all, options, io);
    }
  });
}

/** A store that is not there, most likely: its directory is below what brokers have as their root. */
function askForRoot(thrown: unknown): never {
  const { code, message } = WireError.from(thrown);
  const text = `${message}; set --file-root to what brokers have as broker.file-root`;
  throw new WireError(code, text, { cause: thrown });
}

/**
 * Prunes one journal after the other. One that a store or its broker refuses is left where it was refused, so that it
 * has no hole, and the others have their turn; refusals are told at the end.
 * @throws {WireError} of the first refusal's code when there was one; `signal.reason` when it aborts
 */
export async function pruneEach(
  { transport, clock }: { readonly transport: JournalTransport; readonly clock: Pick<Clock, "wallMs"> },
  specs: readonly JournalSpec[],
  remove: (fragment: Fragment) => Promise<void>,
  onPruned: (pruned: Pruned) => void,
  { signal, err }: Pick<CliIo, "signal" | "err">,
): Promise<void> {
  const refusals: [journal: string, error: WireError][] = [];
  for (const spec of specs) {
    const gone: Fragment[] = [];
    let fragments: readonly Fragment[] = [];
    try {
      const answer = await listAllFragments(transport, { journal: spec.name }, signal);
      fragments = answer.fragments.map((each) => each.spec);
      for (const fragment of prunableFragments(fragments, spec.fragment.retentionMs, clock.wallMs())) {
        await remove(fragment);
        gone.push(fragment);
      }
    } catch (thrown) {
      signal.throwIfAborted();
      refusals.push([spec.name, WireError.from(thrown)]);
    }
    onPruned({
      journal: spec.name,
      fragments: fragments.length,
      fragmentsPruned: gone.length,
      bytes: bytesOf(fragments),
      bytesPruned: bytesOf(gone),
    });
  }
  const [first] = refusals;
  if (first === undefined) return;
  for (const [journal, { message }] of refusals) err(`${journal}: ${message}\n`);
  const text = `${refusals.length} of ${specs.length} journals could not be pruned, or not to the end`;
  throw new WireError(first[1].code, text, { cause: first[1] });
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
