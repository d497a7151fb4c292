// `millrace doctor`: checks a data directory while no platform runs on it, and changes nothing.
//
// X1 It owns the directory as a platform does (D8), so nothing writes while it reads. The socket of an owner that
//    died is cleared, as a start would; that is all it ever changes.
// X2 Log, spools and coordination store are opened by the code that a start runs, over an overlay (OverlayDisk): what
//    recovery would do is seen, and none of it reaches the disk.
// X3 Damage in one place does not keep the others from being checked.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { systemClock, systemRandom, WireError } from "@millrace/base";
import { importedEnds, loadsElsewhere, SINKS_PREFIX, STORAGE_PREFIX } from "@millrace/ingest";
import { prefixRange, type CoordinationStore } from "@millrace/metadata";
import { openStores, type ObjectStores } from "@millrace/stores";
import { openSystemDisk, type Disk } from "@millrace/wal";
import { inspectTables, type InspectedTables } from "@millrace/warehouse";
import { FORMAT_FILE, WAREHOUSE_DIR, WAREHOUSE_FILE } from "./data-layout.ts";
import { examineContents } from "./doctor-contents.ts";
import { OverlayDisk } from "./doctor-overlay-disk.ts";
import {
  CheckNotes,
  counted,
  reportOf,
  sized,
  type DoctorCheck,
  type DoctorReport,
} from "./doctor-report.ts";
import { examineStaging } from "./doctor-staging.ts";
import {
  examineQuarantine,
  recoverCoordination,
  recoverLog,
  type Recovered,
  type RecoveryPorts,
} from "./doctor-storage.ts";
import { FRAGMENT_STORE, STAGING_STORE } from "./journal-templates.ts";
import { SETTINGS } from "./settings.ts";
import { readMember, type Member } from "./system-member-file.ts";
import type { OnContent } from "./doctor-journals.ts";
import { ownDataDirectory } from "./system-data-directory.ts";

interface Patient extends RecoveryPorts {
  readonly dataDirectory: string;
  readonly stores: ObjectStores;
  readonly urls: readonly string[] | undefined;
  readonly onProgress: (what: string) => void;
  readonly onContent: OnContent | undefined;
}

/** What a data directory does not say itself. */
export interface DoctorPlace {
  /** Where file:// stores are. Default: in the data directory. */
  readonly fileRoot?: string;
  /** URLs of the stores of all journals of a broker whose coordination store is an etcd. Default: not known. */
  readonly stores?: readonly string[];
  /** Told of every byte that is read of journals. */
  readonly onContent?: OnContent;
}

/**
 * @param onProgress told what is looked at next
 * @throws {WireError} NOT_FOUND: `path` is no data directory; CONFLICT while a process owns it; CORRUPT when its
 * format is newer than this program
 */
export async function examineDataDirectory(
  path: string,
  { fileRoot, stores: urls, onContent }: DoctorPlace,
  onProgress: (what: string) => void,
  signal: AbortSignal,
): Promise<DoctorReport> {
  const dataDirectory = resolve(path);
  // Owning a directory makes it one: look first.
  if (!existsSync(join(dataDirectory, FORMAT_FILE))) {
    throw new WireError("NOT_FOUND", `${path} is not a data directory: it has no ${FORMAT_FILE}`);
  }
  const owned = await ownDataDirectory(dataDirectory, systemRandom).catch((thrown: unknown) => {
    const error = WireError.from(thrown);
    if (error.code !== "CONFLICT") throw error;
    throw new WireError("CONFLICT", `${error.message}: stop it first, the doctor reads what nobody writes`);
  });
  try {
    const below = await openSystemDisk(dataDirectory);
    try {
      const ports = { clock: systemClock, random: systemRandom };
      const disk = new OverlayDisk(below);
      const stores = openStores({ root: fileRoot ?? dataDirectory, env: process.env, ...ports });
      const patient = { ...ports, dataDirectory, below, disk, stores, urls, onProgress, onContent };
      return await examine(patient, below, signal);
    } finally {
      await below.close();
    }
  } finally {
    await owned.release();
  }
}

async function examine(patient: Patient, real: Disk, signal: AbortSignal): Promise<DoctorReport> {
  const { clock, dataDirectory, onProgress } = patient;
  const beganMs = clock.monotonicMs();
  onProgress("the coordination store");
  const member = readMember(dataDirectory);
  const coordination =
    member === undefined ? await recoverCoordination(patient, signal) : coordinationElsewhere(member);
  onProgress("the local log");
  const log = await recoverLog(patient, signal);
  try {
    const checks: DoctorCheck[] = [await examineSpace(real), coordination.check, log.check];
    const tables = await openTables(patient, signal);
    const known = {
      items: coordination.opened?.items,
      spools: log.opened,
      tables: tables.opened,
      isWarehouseMissing: tables.isMissing,
      isAlone: member === undefined,
      otherwise: member === undefined ? [FRAGMENT_STORE] : patient.urls,
      isElsewhere: await readElsewhere(coordination.opened?.store, tables.notes, signal),
      imported: await readImported(coordination.opened?.store, tables.notes, signal),
    };
    try {
      checks.push(...(await examineContents(patient, known, tables.notes, signal)));
    } finally {
      tables.opened?.close();
    }
    checks.push(await examineQuarantine(patient));
    checks.push(await examineStaged(patient, coordination.opened?.store, signal));
    return reportOf(dataDirectory, checks, Math.round(clock.monotonicMs() - beganMs) / 1000);
  } finally {
    await log.opened?.close();
    await coordination.opened?.store.close();
  }
}

/** What an etcd says of journals is not here to be checked: each is taken as the local log knows it. */
function coordinationElsewhere({ cluster, prefix }: Member): Recovered<never> {
  const notes = new CheckNotes("coordination store", ["keys", "journals"]);
  const check = notes.skip(`not here: etcd cluster ${cluster.toString(16)}, prefix ${prefix}`);
  return { check, opened: undefined };
}

async function examineSpace(disk: Disk): Promise<DoctorCheck> {
  const notes = new CheckNotes("free space", ["bytes"]);
  const { freeBytes: free } = await disk.space();
  notes.add("bytes", free);
  const reserve = SETTINGS["broker.reserve"];
  if (free < reserve.kind.parse(reserve.default)) {
    notes.warn(
      `${free} bytes are free; appends are refused below broker.reserve (default ${reserve.default})`,
    );
  }
  return notes.finish(sized(free));
}

/** How far partitions are imported, by journal. */
async function readImported(
  store: CoordinationStore | undefined,
  notes: CheckNotes,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number> | undefined> {
  if (store === undefined) return undefined;
  const { kvs } = await store.range(prefixRange(STORAGE_PREFIX), signal);
  return importedEnds(kvs, (error) => notes.bad(error.message));
}

async function readElsewhere(
  store: CoordinationStore | undefined,
  notes: CheckNotes,
  signal: AbortSignal,
): Promise<(journal: string) => boolean> {
  if (store === undefined) return () => false;
  const { kvs } = await store.range(prefixRange(SINKS_PREFIX), signal);
  return loadsElsewhere(kvs, (error) => notes.bad(error.message));
}

async function examineStaged(
  { stores, onProgress }: Patient,
  store: CoordinationStore | undefined,
  signal: AbortSignal,
): Promise<DoctorCheck> {
  const notes = new CheckNotes("staging", ["objects", "bytes", "slices", "waiting", "leftovers"]);
  if (store === undefined) return notes.skip("not checked: the coordination store is elsewhere, or damaged");
  onProgress("staged objects");
  try {
    await examineStaging(store, stores.open(STAGING_STORE), notes, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    notes.bad(WireError.from(thrown).message);
  }
  return notes.finish(
    `${counted(notes.count("objects"), "object")}, ${notes.count("waiting")} waiting to be loaded`,
  );
}

/** Notes of the check of rows begin with whether the warehouse can be read at all. */
async function openTables(
  { dataDirectory, onProgress }: Patient,
  signal: AbortSignal,
): Promise<{
  readonly notes: CheckNotes;
  readonly opened: InspectedTables | undefined;
  readonly isMissing: boolean;
}> {
  const notes = new CheckNotes("rows", ["tables", "rows", "partitions", "compared", "waiting", "elsewhere"]);
  const file = join(dataDirectory, WAREHOUSE_DIR, WAREHOUSE_FILE);
  if (!existsSync(file)) return { notes, opened: undefined, isMissing: true };
  onProgress("the warehouse");
  try {
    return { notes, opened: await inspectTables(file, signal), isMissing: false };
  } catch (thrown) {
    signal.throwIfAborted();
    notes.bad(WireError.from(thrown).message);
    return { notes, opened: undefined, isMissing: false };
  }
}
