// Upkeep of lists of holders (durability.md D10, D14): each broker takes out of them what it need not hold any longer.
//
//  K1  A segment is dropped, from the oldest on, by a member of it that has released all of its bytes: it has seen them
//      confirmed in a store (D18), or retention says that they may go (D19). The newest one of a held list stays.
//      One that is nobody's (D15) is dropped by whoever finds it in a store, or those behind it would stay for ever.
//  K2  The list of a journal that is suspended and assigned to nobody is closed by a member of the newest segment that
//      has released everything: each commit needed every member, so it knows the end and the registers.
//  K3  A list is written only as long as it, and the journal, are what was looked at. Whoever activates a route
//      meanwhile looks again, or has written before.
//  K4  What is held of a journal that is assigned to others is opened, so that it gets to its store, and the stores are
//      listed for it: nobody else does, and others may have persisted what its segments wait for. What of it was hidden
//      is judged again by the list as it is now: an activation that has not brought this broker says what counts.
//  K5  A journal that is suspended to one replica stays with its broker, though a store may have all of it. That broker
//      closes the list as in K2, once it has retired whatever it was brought for (K8 of journal-holder.ts) and looked
//      again (K7): its own next append activates the route first, as anybody's would.
//  K6  Of a loose segment only a member that is whole knows what was acknowledged (H8 of holders-activation.ts).
//  K7  Nobody closes a list under an append that is in the log: whoever closes it has the spool's token, with nothing
//      under way in it, and looks again. An append that was queued behind the suspension may commit when the route is
//      gone already, and its sync may take long.
import { WireError, type Clock, type Logger } from "@millrace/base";
import { listRemoteFragments, type FoundLife, type RemotePorts } from "@millrace/fragments";
import { prefixRange, type Compare } from "@millrace/metadata";
import { assignmentsPrefix, suspension, type LabelSet } from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { encodeHolders } from "./holders-codec.ts";
import {
  closed,
  dropPersisted,
  names,
  newestSegment,
  segmentEnd,
  type HolderId,
  type HoldersList,
} from "./holders-list.ts";
import type { HoldersStore } from "./holders-store.ts";
import {
  DRAIN_UPKEEP_MS,
  FOUND_OPENED_AT_ONCE,
  UPKEEP_INTERVAL_MS,
  UPKEEP_LISTINGS_AT_ONCE,
  UPKEEPS_AT_ONCE,
} from "./limits.ts";
import type { Assignment, Item } from "./journal-table.ts";
import type { LocalJournal, LocalJournals } from "./local-journal.ts";

/** What a member has of a journal. */
export interface ReleasedBytes {
  readonly self: HolderId;
  /** Whether it has released [begin, end), and finds it in a store where there is one. */
  readonly isGone: (begin: number, end: number) => boolean;
  /** Acknowledged, and synced. */
  readonly end: number;
  readonly syncedEnd: number;
  /** Undefined: not known here. */
  readonly registers: LabelSet | undefined;
  /** Epoch under which it was brought last, with nothing lost since; else 0. */
  readonly whole: number;
  /** The journal is suspended, and assigned to nobody (K2) or to this member alone (K5). */
  readonly isAtRest: boolean;
}

/** @returns the same list when there is nothing to do */
export function tidied(list: HoldersList, own: ReleasedBytes): HoldersList {
  let persistedEnd = 0;
  for (const [at, { begin, members }] of list.segments.entries()) {
    const end = segmentEnd(list, at);
    const isOthers = members.length > 0 && !members.includes(own.self);
    if (end === undefined || isOthers || !own.isGone(begin, end)) break;
    persistedEnd = end;
  }
  const dropped = dropPersisted(list, persistedEnd); // K1
  const newest = newestSegment(dropped);
  if (!own.isAtRest || newest === undefined || !newest.members.includes(own.self)) return dropped;
  const isWhole = own.end === own.syncedEnd && own.end >= newest.begin && own.isGone(newest.begin, own.end);
  const isKnown = newest.loose !== true || own.whole >= newest.epoch; // K6
  if (!isWhole || !isKnown || dropped.segments.length > 1) return dropped;
  if (own.registers === undefined) return dropped;
  const { segments, tail } = closed(dropped, own.end, own.registers); // K2
  return { segments: segments.filter(({ begin }) => begin !== newest.begin), tail };
}

export interface UpkeepPorts {
  readonly keyspace: BrokerKeyspace;
  readonly lists: HoldersStore;
  /** Id of the data directory. */
  readonly self: HolderId;
  readonly journals: LocalJournals;
  readonly remote: RemotePorts;
  /** Whether the journal is served here: its stores are listed then. */
  readonly isServed: (journal: string) => boolean;
  /** Whether somebody waits for what is done here: the broker drains. */
  readonly isAwaited: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Runs until `signal` aborts. */
export async function runUpkeep(ports: UpkeepPorts, signal: AbortSignal): Promise<void> {
  const upkeep = new Upkeep(ports);
  for (;;) {
    await ports.clock.sleep(ports.isAwaited() ? DRAIN_UPKEEP_MS : UPKEEP_INTERVAL_MS, signal);
    await upkeep.openFound(signal);
    await upkeep.look(signal);
    await upkeep.listStores(signal);
  }
}

class Upkeep {
  readonly #ports: UpkeepPorts;
  /** What was seen of a journal when nothing was left to do. */
  readonly #done = new WeakMap<LocalJournal, string>();
  /** What could not be opened. */
  readonly #refused = new WeakSet<FoundLife>();
  /** Journals of others whose lists name this broker, since when their stores were not listed. */
  readonly #waiting = new Map<LocalJournal, number>();

  constructor(ports: UpkeepPorts) {
    this.#ports = ports;
  }

  /** K4 */
  async openFound(signal: AbortSignal): Promise<void> {
    const { journals, keyspace, isServed, logger } = this.#ports;
    const lives = journals.notOpened(FOUND_OPENED_AT_ONCE, (life) => {
      const item = keyspace.table.item(life.journal);
      const isThere = item?.createRevision === life.createRevision;
      return isThere && !isServed(life.journal) && !this.#refused.has(life);
    });
    for (const life of lives) {
      signal.throwIfAborted();
      const item = keyspace.table.item(life.journal);
      if (item?.createRevision !== life.createRevision) continue; // It was deleted meanwhile.
      try {
        if (await journals.forsake(life)) continue;
        await this.#close(await journals.openOnce(life, item.spec), signal);
      } catch (error) {
        this.#refused.add(life);
        const { message } = WireError.from(error);
        logger.warn("held-journal-not-opened", { journal: life.journal, error: message });
      }
    }
  }

  /** Closes the fragment that a journal ended with, as its last replica here would have. */
  async #close({ spool, holder }: LocalJournal, signal: AbortSignal): Promise<void> {
    const lease = await holder?.takeLast(signal);
    const { journal } = spool.life;
    const isWhole = spool.end === spool.syncedEnd && spool.pendingEnd > spool.begin;
    if (isWhole && !this.#ports.isServed(journal)) spool.roll(spool.pendingEnd);
    lease?.release();
  }

  async look(signal: AbortSignal): Promise<void> {
    const due: LocalJournal[] = [];
    for (const journal of this.#ports.journals.all()) {
      if (this.#done.get(journal) !== seenOf(this.#ports, journal)) due.push(journal);
    }
    for (let at = 0; at < due.length; at += UPKEEPS_AT_ONCE)
      await Promise.all(due.slice(at, at + UPKEEPS_AT_ONCE).map((journal) => this.#keep(journal, signal)));
  }

  async #keep(journal: LocalJournal, signal: AbortSignal): Promise<void> {
    const { isServed, self, logger } = this.#ports;
    const { name } = journal.spec;
    const seen = seenOf(this.#ports, journal);
    try {
      const { list, isDone } = await tidy(this.#ports, journal, signal);
      if (list !== undefined) await this.#judge(journal, list, signal);
      if (!isDone) return;
      this.#done.set(journal, seen);
      const isWaited = names(list, self) && !isServed(name) && journal.spec.fragment.stores.length > 0;
      if (!isWaited) this.#waiting.delete(journal);
      else if (!this.#waiting.has(journal)) this.#waiting.set(journal, Number.NEGATIVE_INFINITY);
    } catch (error) {
      signal.throwIfAborted();
      logger.warn("holders-upkeep-failed", { journal: name, error: WireError.from(error).message });
    }
  }

  /** K4 */
  async #judge(journal: LocalJournal, { tail }: HoldersList, signal: AbortSignal): Promise<void> {
    const { spool, holder, spec } = journal;
    if (spool.end === spool.syncedEnd || tail.kind === "void" || this.#ports.isServed(spec.name)) return;
    await holder?.judge(signal);
    await this.#close(journal, signal);
  }

  /** K4. What they show is looked at the next time. */
  async listStores(signal: AbortSignal): Promise<void> {
    const { clock, isAwaited, isServed, journals } = this.#ports;
    const nowMs = clock.monotonicMs();
    const due: LocalJournal[] = [];
    for (const [journal, sinceMs] of this.#waiting) {
      const { refreshIntervalMs } = journal.spec.fragment;
      const pauseMs = isAwaited() ? Math.min(refreshIntervalMs, UPKEEP_INTERVAL_MS) : refreshIntervalMs;
      if (journals.get(journal.spool.life) !== journal || isServed(journal.spec.name))
        this.#waiting.delete(journal);
      else if (nowMs >= sinceMs + pauseMs && due.push(journal) === UPKEEP_LISTINGS_AT_ONCE) break;
    }
    await Promise.all(due.map((journal) => this.#list(journal, signal)));
  }

  async #list(journal: LocalJournal, signal: AbortSignal): Promise<void> {
    const { remote, clock, keyspace, logger } = this.#ports;
    const { name, fragment } = journal.spec;
    const startedMs = clock.monotonicMs();
    // Those that were listed longest ago come first.
    this.#waiting.delete(journal);
    this.#waiting.set(journal, startedMs);
    const isJournal = (other: string): boolean => keyspace.table.item(other) !== undefined;
    try {
      const listed = await listRemoteFragments(remote, { name, stores: fragment.stores, isJournal }, signal);
      journal.index.setRemote(listed, startedMs);
      this.#done.delete(journal);
    } catch (error) {
      signal.throwIfAborted();
      logger.warn("fragment-refresh-failed", { journal: name, reason: WireError.from(error).message });
    }
  }
}

function seenOf({ keyspace }: UpkeepPorts, { spool, spec, index, holder }: LocalJournal): string {
  const { table } = keyspace;
  const mods = table.assignments(spec.name).map(({ modRevision }) => modRevision);
  const { end, syncedEnd } = spool;
  // What grows while it is written to changes nothing for the list.
  const ends = mods.length === 0 ? [end, syncedEnd] : [];
  const item = table.item(spec.name);
  // Whoever activates the route has written the list.
  const { epoch, stream } = holder?.bound ?? { epoch: 0, stream: 0 };
  const bound = item !== undefined && suspension(item.spec).level === "PARTIAL" ? [epoch, stream] : [];
  return [releasedOf(spool), index.remoteEnd, item?.modRevision, ...ends, ...mods, ...bound].join(" ");
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

interface Tidying {
  readonly item: Item;
  readonly list: HoldersList;
  readonly listRevision: number;
  /** The same list when there is nothing to do. */
  readonly next: HoldersList;
  readonly assignments: readonly Assignment[];
  /** An activation here has not written its list yet (K5). */
  readonly isUnderWay: boolean;
}

interface Tidied {
  /** As it is now. */
  readonly list: HoldersList | undefined;
  /** Nothing is left to do until something changes. */
  readonly isDone: boolean;
}

async function tidy(ports: UpkeepPorts, local: LocalJournal, signal: AbortSignal): Promise<Tidied> {
  const tidying = await lookAt(ports, local, signal);
  if (tidying === undefined) return { list: undefined, isDone: true };
  const { holder } = local;
  const { list, next } = tidying;
  if (next.tail === list.tail || holder === undefined) return write(ports, local, tidying, signal);
  // K7
  return holder.retire(async (evicted) => {
    const again = await lookAt(ports, local, evicted);
    return again === undefined ? { list: undefined, isDone: true } : write(ports, local, again, evicted);
  }, signal);
}

/** @returns undefined: there is no list that could be tidied */
async function lookAt(
  { keyspace, lists, self, isServed }: UpkeepPorts,
  local: LocalJournal,
  signal: AbortSignal,
): Promise<Tidying | undefined> {
  const { spool, holder } = local;
  const { name: journal } = local.spec;
  const { createRevision } = spool.life;
  const item = keyspace.table.item(journal);
  if (item?.createRevision !== createRevision) return undefined;
  local.spec = item.spec;
  const { list, listRevision } = await lists.read(journal, createRevision, signal);
  if (list === undefined) return undefined;
  const assignments = keyspace.table.assignments(journal);
  const { level } = suspension(item.spec);
  const isAlone =
    level === "PARTIAL" && assignments.length === 1 && isServed(journal) && holder !== undefined;
  const isAtRest = isAlone || (level === "FULL" && assignments.length === 0);
  const { end, syncedEnd } = spool;
  const registers = spool.marks.at(syncedEnd);
  const gone = (from: number, to: number): boolean => isGone(local, from, to);
  const whole = holder?.whole ?? 0;
  const next = tidied(list, { self, isGone: gone, end, syncedEnd, registers, whole, isAtRest });
  const isUnderWay = isAlone && holder.bound.isBrought && newestSegment(list)?.epoch !== holder.bound.epoch;
  return { item, list, listRevision, next, assignments, isUnderWay };
}

async function write(
  { keyspace, lists }: UpkeepPorts,
  { spool }: LocalJournal,
  { item, list, listRevision, next, assignments, isUnderWay }: Tidying,
  signal: AbortSignal,
): Promise<Tidied> {
  const { journal, createRevision } = spool.life;
  const value = next === list ? undefined : encodeHolders({ createRevision, list: next });
  if (value === undefined) return { list, isDone: !isUnderWay };
  const key = lists.key(journal);
  const compare: Compare[] = [
    { target: "mod", key, op: "=", revision: listRevision },
    { target: "create", key: item.key, op: "=", revision: createRevision },
  ];
  if (next.tail !== list.tail) {
    compare.push({ target: "mod", key: item.key, op: "=", revision: item.modRevision });
    const all = prefixRange(assignmentsPrefix(keyspace.root, journal));
    if (assignments.length === 0) compare.push({ target: "create", ...all, op: "=", revision: 0 });
    for (const { key: own, modRevision } of assignments)
      compare.push({ target: "mod", key: own, op: "=", revision: modRevision });
  }
  const change = { compare, success: [{ kind: "put", key, value }] } as const;
  const written = await lists.send(journal, change, signal);
  return { list: next, isDone: written.kind === "done" };
}
