// What a broker alone has of journals that nobody could take over goes to their stores as it closes, as far as they
// have one and take it: who takes a node away for good leaves nothing behind there (durability.md D14). Nobody appends
// by then.
import { abortScope, never, WireError, type Clock, type Logger } from "@millrace/base";
import type { Persister } from "@millrace/fragments";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import type { BytesHere } from "./drain.ts";
import { DRAIN_NAMES_MAX, LAST_PERSIST_MS } from "./limits.ts";
import type { LocalJournal, LocalJournals } from "./local-journal.ts";

export interface BytesPorts {
  readonly keyspace: Pick<BrokerKeyspace, "table">;
  readonly journals: Pick<LocalJournals, "get" | "found">;
}

/** What is here of the journal's present life. */
export function bytesHere(ports: BytesPorts, journal: string): BytesHere {
  const local = localOf(ports, journal);
  if (local === undefined) return isFound(ports, journal) ? "kept" : "none";
  const fragments = local.spool.fragments();
  if (fragments.length === 0) return "none";
  return hasStore(local) && fragments.every(({ closed }) => !closed) ? "store" : "kept";
}

export interface LastPersistPorts extends BytesPorts {
  readonly persister: Persister;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Says which of the journals stay behind with bytes. */
export async function persistLast(ports: LastPersistPorts, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const { persister, clock, logger } = ports;
  for (const name of names) {
    const local = localOf(ports, name);
    if (local !== undefined && hasStore(local)) await close(local);
  }
  const scope = abortScope(never);
  const tooLate = new WireError("SHUTTING_DOWN", `not in the store after ${LAST_PERSIST_MS} ms`);
  const cancel = clock.after(LAST_PERSIST_MS, () => scope.abort(tooLate));
  await persister.drain(scope.signal);
  cancel();
  scope.dispose();
  const left = names.filter((name) => bytesHere(ports, name) !== "none");
  if (left.length === 0) return;
  logger.warn("bytes-stay-behind", { count: left.length, journals: left.slice(0, DRAIN_NAMES_MAX) });
}

async function close(local: LocalJournal): Promise<void> {
  const { spool } = local;
  if (spool.pendingEnd > spool.begin) spool.roll(spool.pendingEnd);
  await local.settled();
}

function hasStore({ spec }: LocalJournal): boolean {
  return spec.fragment.stores.length > 0;
}

function localOf({ keyspace, journals }: BytesPorts, journal: string): LocalJournal | undefined {
  const item = keyspace.table.item(journal);
  return item && journals.get({ journal, createRevision: item.createRevision });
}

/** Recovery found it, and nobody has opened it. */
function isFound({ keyspace, journals }: BytesPorts, journal: string): boolean {
  const item = keyspace.table.item(journal);
  return item !== undefined && journals.found({ journal, createRevision: item.createRevision }) !== undefined;
}
