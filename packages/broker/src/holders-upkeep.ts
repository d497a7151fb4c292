// Upkeep of lists of holders (durability.md D10, D14): each broker takes out of them what it need not hold any longer.
//
//  K1  A segment is dropped, from the oldest on, by a member of it that has released all of its bytes: it has seen them
//      confirmed in a store (D18), or retention says that they may go (D19). The newest one of a held list stays.
//  K2  The list of a journal that is suspended and assigned to nobody is closed by a member of the newest segment that
//      has released everything: each commit needed every member, so it knows the end and the registers.
//  K3  A list is written only as long as it, and the journal, are what was looked at. Whoever activates a route
//      meanwhile looks again, or has written before.
import { WireError, type Clock, type Logger } from "@millrace/base";
import { prefixRange, type Compare, type CoordinationStore, type StoreOp } from "@millrace/metadata";
import { assignmentsPrefix, suspension, type LabelSet } from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { encodeHolders } from "./holders-codec.ts";
import {
  closed,
  dropPersisted,
  newestSegment,
  segmentEnd,
  type HolderId,
  type HoldersList,
} from "./holders-list.ts";
import type { HoldersStore } from "./holders-store.ts";
import { UPKEEP_INTERVAL_MS, UPKEEPS_AT_ONCE } from "./limits.ts";
import type { LocalJournal } from "./local-journal.ts";

/** What a member has of a journal. */
export interface ReleasedBytes {
  readonly self: HolderId;
  /** Whether it has released [begin, end), and finds it in a store where there is one. */
  readonly isGone: (begin: number, end: number) => boolean;
  /** Acknowledged, and synced. */
  readonly end: number;
  readonly syncedEnd: number;
  readonly registers: LabelSet;
  /** The journal is suspended, and assigned to nobody. */
  readonly isAtRest: boolean;
}

/** @returns the same list when there is nothing to do */
export function tidied(list: HoldersList, own: ReleasedBytes): HoldersList {
  let persistedEnd = 0;
  for (const [at, { begin, members }] of list.segments.entries()) {
    const end = segmentEnd(list, at);
    if (end === undefined || !members.includes(own.self) || !own.isGone(begin, end)) break;
    persistedEnd = end;
  }
  const dropped = dropPersisted(list, persistedEnd); // K1
  const newest = newestSegment(dropped);
  if (!own.isAtRest || newest === undefined || !newest.members.includes(own.self)) return dropped;
  const isWhole = own.end === own.syncedEnd && own.end >= newest.begin && own.isGone(newest.begin, own.end);
  if (!isWhole || dropped.segments.length > 1) return dropped;
  const { segments, tail } = closed(dropped, own.end, own.registers); // K2
  return { segments: segments.filter(({ begin }) => begin !== newest.begin), tail };
}

export interface UpkeepPorts {
  readonly coordination: CoordinationStore;
  readonly keyspace: BrokerKeyspace;
  readonly lists: HoldersStore;
  /** Id of the data directory. */
  readonly self: HolderId;
  readonly journals: () => Iterable<LocalJournal>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Runs until `signal` aborts. */
export async function runUpkeep(ports: UpkeepPorts, signal: AbortSignal): Promise<void> {
  /** What was seen of a journal when nothing was left to do. */
  const done = new WeakMap<LocalJournal, string>();
  for (;;) {
    await ports.clock.sleep(UPKEEP_INTERVAL_MS, signal);
    const due: LocalJournal[] = [];
    for (const journal of ports.journals()) {
      if (due.length < UPKEEPS_AT_ONCE && done.get(journal) !== seenOf(ports, journal)) due.push(journal);
    }
    for (const journal of due) {
      const seen = seenOf(ports, journal);
      try {
        if (await upkeep(ports, journal, signal)) done.set(journal, seen);
      } catch (error) {
        signal.throwIfAborted();
        const { name } = journal.spec;
        ports.logger.warn("holders-upkeep-failed", { journal: name, error: WireError.from(error).message });
      }
    }
  }
}

function seenOf({ keyspace }: UpkeepPorts, { spool, spec }: LocalJournal): string {
  const { table } = keyspace;
  const mods = table.assignments(spec.name).map(({ modRevision }) => modRevision);
  const { end, syncedEnd } = spool;
  // What grows while it is written to changes nothing for the list.
  const ends = mods.length === 0 ? [end, syncedEnd] : [];
  return [releasedOf(spool), table.item(spec.name)?.modRevision, ...ends, ...mods].join(" ");
}

function releasedOf(spool: LocalJournal["spool"]): number {
  return spool.held()[0]?.begin ?? spool.syncedEnd;
}

function isGone({ spool, spec, index }: LocalJournal, begin: number, end: number): boolean {
  if (end > releasedOf(spool)) return false;
  if (spec.fragment.stores.length === 0) return true;
  let stored = begin;
  for (const entry of index.entries()) {
    if (entry.kind === "remote" && entry.begin <= stored) stored = Math.max(stored, entry.end);
  }
  return stored >= end;
}

/** @returns whether nothing is left to do until something changes */
async function upkeep(
  { coordination, keyspace, lists, self }: UpkeepPorts,
  local: LocalJournal,
  signal: AbortSignal,
): Promise<boolean> {
  const { spool } = local;
  const { name: journal } = local.spec;
  const { createRevision } = spool.life;
  const item = keyspace.table.item(journal);
  if (item?.createRevision !== createRevision) return true;
  const { list, listRevision } = await lists.read(journal, createRevision, signal);
  if (list === undefined) return true;
  const isAtRest = suspension(item.spec).level === "FULL" && keyspace.table.assignments(journal).length === 0;
  const { end, syncedEnd, registers } = spool;
  const gone = (from: number, to: number): boolean => isGone(local, from, to);
  const next = tidied(list, { self, isGone: gone, end, syncedEnd, registers, isAtRest });
  if (next === list) return true;
  const value = encodeHolders({ createRevision, list: next });
  if (value === undefined) return true;
  const key = lists.key(journal);
  const compare: Compare[] = [
    { target: "mod", key, op: "=", revision: listRevision },
    { target: "create", key: item.key, op: "=", revision: createRevision },
  ];
  if (next.tail !== list.tail) {
    const assignments = prefixRange(assignmentsPrefix(keyspace.root, journal));
    compare.push({ target: "mod", key: item.key, op: "=", revision: item.modRevision });
    compare.push({ target: "create", ...assignments, op: "=", revision: 0 });
  }
  const success: StoreOp[] = [{ kind: "put", key, value }];
  const { succeeded } = await coordination.txn({ compare, success }, signal);
  return succeeded;
}
