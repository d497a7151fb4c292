// Fragments, coverage and rows of all journals: each journal is read once for all of these checks.
import { silentLogger, WireError } from "@millrace/base";
import { pooledCodecs, type JournalLife, type Spools } from "@millrace/fragments";
import { isPartitionJournal } from "@millrace/ingest";
import type { ObjectStores } from "@millrace/stores";
import type { InspectedTables } from "@millrace/warehouse";
import { examineJournal, type JournalPorts, type OnContent } from "./doctor-journals.ts";
import type { JournalSpec } from "@millrace/protocol";
import { examineOtherObjects } from "./doctor-objects.ts";
import { CheckNotes, counted, sized, type DoctorCheck } from "./doctor-report.ts";
import { PartitionRows } from "./doctor-rows.ts";
import { livesOf, type JournalItem } from "./doctor-storage.ts";
import { compareRows, loadedJournals, type LoadedJournal } from "./doctor-tables.ts";
import { FRAGMENT_STORE } from "./journal-templates.ts";

/** What could be opened; what is undefined is damaged, and another check says how. */
export interface KnownContents {
  readonly items: ReadonlyMap<string, JournalItem> | undefined;
  readonly spools: Spools | undefined;
  readonly tables: InspectedTables | undefined;
  /** There is no warehouse at all. */
  readonly isWarehouseMissing: boolean;
  /** No other broker has the journals, or puts objects into their stores. */
  readonly isAlone: boolean;
  /** Stores of journals whose specs are not here; undefined: not known either. */
  readonly otherwise: readonly string[] | undefined;
  /** Whether a partition has rows in targets that are not looked at. */
  readonly isElsewhere: (journal: string) => boolean;
  /** By partition journal: up to where its rows are in tables, as the coordination store knows it. */
  readonly imported: ReadonlyMap<string, number> | undefined;
}

interface ContentPorts {
  readonly stores: ObjectStores;
  readonly onProgress: (what: string) => void;
  readonly onContent: OnContent | undefined;
}

type Loaded = ReadonlyMap<string, LoadedJournal>;

const NOTHING_LOADED: LoadedJournal = { tables: [], end: 0 };

/** @param rowNotes of the check of rows, which opening the warehouse began */
export async function examineContents(
  { stores, onProgress, onContent }: ContentPorts,
  known: KnownContents,
  rowNotes: CheckNotes,
  signal: AbortSignal,
): Promise<readonly DoctorCheck[]> {
  const { items, spools, tables, imported } = known;
  const checks = {
    local: new CheckNotes("local fragments", ["fragments", "bytes"]),
    remote: new CheckNotes("persisted fragments", ["fragments", "bytes", "unclaimed"]),
    coverage: new CheckNotes("coverage", ["journals", "bytes", "over"]),
  };
  const { lives, over } = spools === undefined ? NO_LIVES : livesOf(spools, items);
  checks.coverage.add("over", over);
  const claimed = new Set<string>();
  const ports: JournalPorts = {
    stores,
    codecs: pooledCodecs,
    logger: silentLogger,
    spools,
    isAlone: known.isAlone,
    onContent,
    isJournal: (name) => items?.has(name) ?? lives.has(name),
    onObject: (store, path) => void (store === FRAGMENT_STORE && claimed.add(path)),
  };
  const loaded = tables === undefined ? undefined : await loadedOf(tables, rowNotes);
  for (const name of [...new Set([...(items?.keys() ?? []), ...lives.keys()])].sort()) {
    onProgress(name);
    const spec = items?.get(name)?.spec;
    const stores = spec?.fragment.stores ?? known.otherwise ?? [];
    const journal = { name, spec, life: lives.get(name), stores, keptFrom: keptFrom(name, spec, imported) };
    const target = loaded?.get(name) ?? NOTHING_LOADED;
    const rows = isPartitionJournal(name) ? new PartitionRows(name, target.end) : undefined;
    const head = await examineJournal(journal, ports, checks, rows, signal);
    if (rows === undefined) continue;
    rowNotes.add("partitions");
    for (const problem of rows.problems) rowNotes.bad(problem);
    if (known.isElsewhere(name)) {
      rowNotes.add("elsewhere");
      continue;
    }
    if (known.isWarehouseMissing || loaded !== undefined) compareEnds(name, target.end, imported, rowNotes);
    if (tables === undefined || loaded === undefined) continue;
    const bytes = { rows, head: spools === undefined ? undefined : head };
    await guarded(rowNotes, () => compareRows(name, target, bytes, tables, rowNotes));
  }
  if (known.isAlone) {
    onProgress("objects of no journal");
    await guarded(checks.remote, () =>
      examineOtherObjects(ports, FRAGMENT_STORE, claimed, checks.remote, signal),
    );
  }
  signal.throwIfAborted();
  return [
    spools === undefined
      ? checks.local.skip("not checked: the local log does not replay")
      : fragments(checks.local),
    items === undefined && known.otherwise === undefined
      ? checks.remote.skip("not checked: an etcd knows the journals' stores; name them with --store")
      : fragments(checks.remote),
    finishCoverage(checks.coverage),
    finishRows(rowNotes, tables !== undefined),
  ];
}

/** What is below was imported and may be removed (D27), or is older than the journal's retention. */
function keptFrom(
  name: string,
  spec: JournalSpec | undefined,
  imported: ReadonlyMap<string, number> | undefined,
): number | undefined {
  if (isPartitionJournal(name)) return imported?.get(name);
  return spec?.fragment.retentionMs === 0 ? 0 : undefined;
}

/** The table is first: its loaded end may be ahead, never behind. */
function compareEnds(
  journal: string,
  loadedEnd: number,
  imported: ReadonlyMap<string, number> | undefined,
  notes: CheckNotes,
): void {
  const end = imported?.get(journal) ?? 0;
  if (end <= loadedEnd) return;
  notes.bad(
    `${journal}: imported up to offset ${end} as the coordination store knows, but tables have it up to ${loadedEnd}`,
  );
}

const NO_LIVES: { lives: ReadonlyMap<string, JournalLife>; over: number } = { lives: new Map(), over: 0 };

async function loadedOf(tables: InspectedTables, notes: CheckNotes): Promise<Loaded | undefined> {
  let loaded: Loaded | undefined;
  await guarded(notes, async () => {
    loaded = await loadedJournals(tables, notes);
  });
  return loaded;
}

/** A failure of one part is its own check's, and no more. */
async function guarded(notes: CheckNotes, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    notes.bad(WireError.from(thrown).message);
  }
}

function fragments(notes: CheckNotes): DoctorCheck {
  return notes.finish(`${counted(notes.count("fragments"), "fragment")}, ${sized(notes.count("bytes"))}`);
}

function finishCoverage(notes: CheckNotes): DoctorCheck {
  const over = notes.count("over");
  const gone =
    over === 0 ? "" : `; ${counted(over, "deleted journal")} that the next start removes or sets aside`;
  return notes.finish(
    `${counted(notes.count("journals"), "journal")}, ${sized(notes.count("bytes"))}${gone}`,
  );
}

function finishRows(notes: CheckNotes, isOpen: boolean): DoctorCheck {
  const partitions = counted(notes.count("partitions"), "partition");
  if (!isOpen) return notes.finish(`${partitions}, no tables`);
  const [tables, rows] = [counted(notes.count("tables"), "table"), counted(notes.count("rows"), "row")];
  const compared = notes.count("compared").toLocaleString("en-US");
  const elsewhere = notes.count("elsewhere");
  const others =
    elsewhere === 0 ? "" : `; ${counted(elsewhere, "partition")} with rows in other targets not compared`;
  const waiting = `${notes.count("waiting")} waiting to be loaded`;
  return notes.finish(`${tables}, ${rows}; ${compared} compared with ${partitions}, ${waiting}${others}`);
}
