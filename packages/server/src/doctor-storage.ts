// The parts of the doctor that run a start's own recovery over the overlay: coordination store, local log, quarantine.
import { MetricsRegistry, silentLogger, WireError, type Clock, type Random } from "@millrace/base";
import { DEFAULT_ROOT } from "@millrace/broker";
import {
  openSpools,
  QUARANTINE_DIR,
  SPOOL_DEFAULTS,
  SPOOLS_DIR,
  type JournalLife,
  type Spools,
} from "@millrace/fragments";
import { openDurableStore, prefixRange, EVERYTHING, type EmbeddedStore } from "@millrace/metadata";
import { decodeItemValue, itemsPrefix, parseEntityKey, type JournalSpec } from "@millrace/protocol";
import type { Disk } from "@millrace/wal";
import { COORDINATION_DIR } from "./data-layout.ts";
import type { ReadableDisk } from "./doctor-overlay-disk.ts";
import { CheckNotes, counted, sized, type DoctorCheck } from "./doctor-report.ts";

export interface RecoveryPorts {
  /** Takes what recovery writes. */
  readonly disk: Disk;
  /** The data directory as it is. */
  readonly below: ReadableDisk;
  readonly clock: Clock;
  readonly random: Random;
}

export interface JournalItem {
  readonly spec: JournalSpec;
  readonly createRevision: number;
}

export interface Recovered<T> {
  readonly check: DoctorCheck;
  /** Undefined when it is damaged. */
  readonly opened: T | undefined;
}

const LOG_DIR = SPOOL_DEFAULTS.log.dir;

/** Replays the store's log. */
export async function recoverCoordination(
  ports: RecoveryPorts,
  signal: AbortSignal,
): Promise<Recovered<{ store: EmbeddedStore; items: ReadonlyMap<string, JournalItem> }>> {
  const notes = new CheckNotes("coordination store", ["keys", "journals"]);
  if (await isMissing(ports.below, COORDINATION_DIR, SPOOLS_DIR)) {
    notes.bad(
      `${COORDINATION_DIR}: the store is gone, but there are spools: a start would set all of them aside`,
    );
    return { check: notes.finish("not there"), opened: undefined };
  }
  let store: EmbeddedStore;
  try {
    store = await openDurableStore({ ...recoveryPorts(ports), dir: COORDINATION_DIR });
  } catch (thrown) {
    notes.bad(WireError.from(thrown).message);
    return { check: notes.finish("its log does not replay"), opened: undefined };
  }
  const { header, count } = await store.range({ key: EVERYTHING, end: EVERYTHING, countOnly: true }, signal);
  notes.add("keys", count);
  const items = new Map<string, JournalItem>();
  for (const { key, value, createRevision } of (
    await store.range(prefixRange(itemsPrefix(DEFAULT_ROOT)), signal)
  ).kvs) {
    notes.add("journals");
    try {
      const place = parseEntityKey(DEFAULT_ROOT, key);
      if (place.kind !== "item") continue;
      items.set(place.item, { spec: decodeItemValue(place.item, value), createRevision });
    } catch (thrown) {
      notes.bad(`key ${key}: ${WireError.from(thrown).message}`);
    }
  }
  const found = `revision ${header.revision}, ${counted(count, "key")}, ${counted(items.size, "journal")}`;
  return { check: notes.finish(found), opened: { store, items } };
}

/** Replays the local log over the spools. */
export async function recoverLog(ports: RecoveryPorts, signal: AbortSignal): Promise<Recovered<Spools>> {
  const notes = new CheckNotes("local log", ["journals"]);
  if (await isMissing(ports.below, LOG_DIR, SPOOLS_DIR)) {
    notes.bad(
      `${LOG_DIR}: the log is gone, but there are spools: a start would put all of them into quarantine`,
    );
    return { check: notes.finish("not there"), opened: undefined };
  }
  try {
    const spools = await openSpools(recoveryPorts(ports), {}, signal);
    const journals = spools.unclaimed().length;
    notes.add("journals", journals);
    return { check: notes.finish(`replays, knows ${counted(journals, "journal")}`), opened: spools };
  } catch (thrown) {
    signal.throwIfAborted();
    notes.bad(WireError.from(thrown).message);
    return { check: notes.finish("it does not replay: the platform will not start"), opened: undefined };
  }
}

/** What lies in quarantine, and what the next start will move there. */
export async function examineQuarantine(ports: RecoveryPorts): Promise<DoctorCheck> {
  const notes = new CheckNotes("quarantine", ["files", "bytes", "next"]);
  const before = await filesBelow(ports.below, QUARANTINE_DIR);
  for (const [path, bytes] of before) {
    notes.add("files");
    notes.add("bytes", bytes);
    notes.warn(`${path}: ${bytes} bytes kept aside; nobody reads them, and only what a store has is removed`);
  }
  for (const [path, bytes] of await filesBelow(ports.disk, QUARANTINE_DIR)) {
    if (before.has(path)) continue;
    notes.add("next");
    notes.warn(`${path}: ${bytes} bytes that the log does not know; the next start moves them there`);
  }
  const files = notes.count("files");
  return notes.finish(files === 0 ? "empty" : `${counted(files, "file")}, ${sized(notes.count("bytes"))}`);
}

/** The life of each journal that counts, and how many are over, or not known to this store. */
export function livesOf(
  spools: Spools,
  items: ReadonlyMap<string, JournalItem> | undefined,
): { readonly lives: ReadonlyMap<string, JournalLife>; readonly over: number } {
  const lives = new Map<string, JournalLife>();
  let over = 0;
  for (const life of spools.unclaimed()) {
    const known = lives.get(life.journal);
    const isCurrent =
      items === undefined
        ? known === undefined || known.createRevision < life.createRevision
        : items.get(life.journal)?.createRevision === life.createRevision;
    if (isCurrent) lives.set(life.journal, life);
    if (!isCurrent || known !== undefined) over++;
  }
  return { lives, over };
}

function recoveryPorts({ disk, clock, random }: RecoveryPorts) {
  const metrics = new MetricsRegistry();
  // A failed sync is what ends a process; the overlay never fails one.
  return { disk, clock, random, logger: silentLogger, metrics, onFatal: () => undefined };
}

/** Whether `dir` has nothing though `other` has something. */
async function isMissing(disk: ReadableDisk, dir: string, other: string): Promise<boolean> {
  return (await disk.list(dir)).length === 0 && (await disk.list(other)).length > 0;
}

async function filesBelow(disk: ReadableDisk, dir: string): Promise<ReadonlyMap<string, number>> {
  const files = new Map<string, number>();
  for (const { name, kind, bytes } of await disk.list(dir)) {
    const path = `${dir}/${name}`;
    if (kind === "file") files.set(path, bytes);
    else for (const [inner, size] of await filesBelow(disk, path)) files.set(inner, size);
  }
  return files;
}
