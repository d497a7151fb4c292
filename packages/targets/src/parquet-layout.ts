// Names of a Parquet table's objects in its bucket. Names are functions of what they hold: a repeated load puts the
// same objects again, and two importers of one file put the same.
//
//   <schema>/<table>/dt=<date>/<partition>.<begin>-<end>.<i>.parquet   rows of one staged object, of one day
//   <schema>/<table>/_millrace/commits/<partition>.<begin>-<end>.json  what one load has put, for who wants whole loads
//   <schema>/<table>/_millrace/ends/<partition>/<end>                  loaded ends: the greatest counts
//   <schema>/<table>/_millrace/columns/<column>.<kind>                 columns that the table has had
//
// Readers of Hive tables leave out what begins with an underscore. Offsets are 16 hex digits.
import { hex16 } from "@millrace/base";
import type { PartitionLoad } from "@millrace/ingest";
import type { TableName } from "./table-name.ts";

/** Name of the Hive partition: no column of a mapping may have it. */
export const DATE_KEY = "dt";
/** Hive's name for NULL: rows of a mapping without a datetime column. */
export const NO_DATE = "__HIVE_DEFAULT_PARTITION__";

export function tablePrefix({ schema, table }: TableName): string {
  return `${schema}/${table}/`;
}

export function systemPrefix(name: TableName): string {
  return `${tablePrefix(name)}_millrace/`;
}

export function dataPath(name: TableName, load: PartitionLoad, i: number, date: string): string {
  return `${tablePrefix(name)}${DATE_KEY}=${date}/${rangeOf(load)}.${i}.parquet`;
}

/** @param loads of one load, at least one: its first partition is in no other load at this place */
export function commitPath(name: TableName, loads: readonly PartitionLoad[]): string {
  const [first] = [...loads].sort((a, b) => (a.journal < b.journal ? -1 : 1));
  return `${systemPrefix(name)}commits/${rangeOf(first!)}.json`;
}

export function endsPrefix(name: TableName): string {
  return `${systemPrefix(name)}ends/`;
}

export function endPath(name: TableName, journal: string, end: number): string {
  return `${endsPrefix(name)}${escapeName(journal)}/${hex16(end)}`;
}

/** What an object below {@link endsPrefix} says; undefined: it is none of ours. */
export function readEndPath(name: TableName, path: string): { journal: string; end: number } | undefined {
  const match = /^([^/]+)\/([0-9a-f]{16})$/.exec(path.slice(endsPrefix(name).length));
  const journal = match === null ? undefined : unescapeName(match[1]!);
  return journal === undefined ? undefined : { journal, end: Number.parseInt(match![2]!, 16) };
}

export function columnsPrefix(name: TableName): string {
  return `${systemPrefix(name)}columns/`;
}

export function columnPath(name: TableName, column: string, kind: string): string {
  return `${columnsPrefix(name)}${escapeName(column)}.${kind}`;
}

export function readColumnPath(name: TableName, path: string): { column: string; kind: string } | undefined {
  const match = /^([^/]+)\.([a-z]+)$/.exec(path.slice(columnsPrefix(name).length));
  const column = match === null ? undefined : unescapeName(match[1]!);
  return column === undefined ? undefined : { column, kind: match![2]! };
}

function rangeOf({ journal, begin, end }: PartitionLoad): string {
  return `${escapeName(journal)}.${hex16(begin)}-${hex16(end)}`;
}

/** One segment of a key; the slashes of a journal's name become tildes. */
function escapeName(name: string): string {
  return encodeURIComponent(name).replaceAll("~", "%7E").replaceAll("%2F", "~").replace(/^\./, "%2E");
}

function unescapeName(escaped: string): string | undefined {
  try {
    return decodeURIComponent(escaped.replaceAll("~", "%2F"));
  } catch {
    return undefined;
  }
}
