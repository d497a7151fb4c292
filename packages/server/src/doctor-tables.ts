// Rows of partitions in the warehouse's tables, against what their frames say (doctor-rows.ts).
import { WireError } from "@millrace/base";
import { REMOVED_END } from "@millrace/ingest";
import type { InspectedTables } from "@millrace/warehouse";
import type { CheckNotes } from "./doctor-report.ts";
import { BUCKET_BYTES, type Bucket, type PartitionRows } from "./doctor-rows.ts";

/** What a journal's tables have of it. */
export interface LoadedJournal {
  readonly tables: readonly string[];
  /** The furthest of its tables' loaded ends. */
  readonly end: number;
}

/**
 * Loaded ends by journal; also looks for tables that are gone and for rows without a loaded end.
 * @throws {WireError} CORRUPT when the engine cannot read the file
 */
export async function loadedJournals(
  tables: InspectedTables,
  notes: CheckNotes,
): Promise<ReadonlyMap<string, LoadedJournal>> {
  const journals = new Map<string, LoadedJournal>();
  // Of a table that was removed with its sink only the ends are left.
  const loadedEnds = (await tables.loadedEnds()).filter(({ end }) => end !== REMOVED_END);
  for (const { table, journal, end } of loadedEnds) {
    const known = journals.get(journal);
    journals.set(journal, { tables: [...(known?.tables ?? []), table], end: Math.max(known?.end ?? 0, end) });
  }
  for (const table of new Set(loadedEnds.map((loaded) => loaded.table))) {
    try {
      for (const [journal, rows] of await tables.rowsByJournal(table)) {
        notes.add("rows", rows);
        if (journals.get(journal)?.tables.includes(table) === true) continue;
        notes.bad(`${table} has ${rows} rows of ${journal}, but no loaded end of it`);
      }
      notes.add("tables");
    } catch (thrown) {
      const error = WireError.from(thrown);
      if (error.code !== "NOT_FOUND") throw error;
      notes.bad(`${table}: rows were loaded into it, but there is no such table`);
    }
  }
  return journals;
}

/** Compares one journal, all of whose bytes `rows` has seen. @param head undefined when the local log is damaged */
export async function compareRows(
  journal: string,
  loaded: LoadedJournal,
  { rows, head }: { readonly rows: PartitionRows; readonly head: number | undefined },
  tables: InspectedTables,
  notes: CheckNotes,
): Promise<void> {
  if (head !== undefined && loaded.end > head) {
    notes.bad(`${journal}: loaded up to offset ${loaded.end}, but the journal ends at ${head}`);
  }
  for (const frame of rows.perhapsRepeated) {
    const span = { journal, begin: frame.bodyBegin, end: frame.end };
    if ((await bucketsOf(loaded, span, tables)).found.size > 0) rows.countAfterAll(frame);
  }
  const span = { journal, begin: rows.begin, end: loaded.end };
  const { found, doubled } = await bucketsOf(loaded, span, tables);
  const names = loaded.tables.join(" and ");
  for (const { begin, end, expected, found: there } of rows.compare(found)) {
    const those = `offsets [${begin}, ${end})`;
    notes.bad(
      `${journal}: ${those} hold ${expected} rows, ${names} ${there}${expected === there ? " others" : ""}`,
    );
  }
  if (doubled > 0) notes.bad(`${journal}: ${doubled} rows stand in ${names} more than once`);
  const beyond = { journal, begin: loaded.end, end: Number.MAX_SAFE_INTEGER };
  let early = 0;
  for (const { rows: some } of (await bucketsOf(loaded, beyond, tables)).found.values()) early += some;
  if (early > 0) notes.bad(`${journal}: ${early} rows of ${names} lie behind the loaded end ${loaded.end}`);
  notes.add("compared", rows.rows);
  notes.add("waiting", rows.waiting);
}

/** Buckets of all tables of a journal together; `doubled`: rows that share their offset with another one. */
async function bucketsOf(
  loaded: LoadedJournal,
  span: { journal: string; begin: number; end: number },
  tables: InspectedTables,
): Promise<{ found: ReadonlyMap<number, Bucket>; doubled: number }> {
  const found = new Map<number, Bucket>();
  let doubled = 0;
  for (const table of loaded.tables) {
    const buckets = await tables.buckets(table, span, BUCKET_BYTES).catch((thrown: unknown) => {
      // A table that is gone was reported; its rows are missing.
      const error = WireError.from(thrown);
      if (error.code === "NOT_FOUND") return [];
      throw error;
    });
    for (const { bucket, rows, distinctOffsets, offsetSum } of buckets) {
      const sum = found.get(bucket) ?? { rows: 0, offsetSum: 0 };
      found.set(bucket, { rows: sum.rows + rows, offsetSum: sum.offsetSum + offsetSum });
      doubled += rows - distinctOffsets;
    }
  }
  return { found, doubled };
}
