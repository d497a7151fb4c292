// Tables of docs/ that say, for each test of a system that Millrace takes after, which file and test of ours covers it.
import { existsSync, readFileSync } from "node:fs";

export interface TestTable {
  /** What the column of their tests is called. Tables that begin otherwise are passed over. */
  readonly column: string;
  /** What stands in place of ours where there is no test, in the order in which the document counts them. */
  readonly verdicts: readonly string[];
}

/**
 * What is wrong in a document with such tables: cells that are neither a verdict nor "`file`" or "`file`: name of a
 * test", files and tests that are not there, and counts that it does not say.
 * @param root of the repository, which the files' names begin at
 */
export function tableFaults(document: string, table: TestTable, root: URL): readonly string[] {
  const { column, verdicts } = table;
  const faults: string[] = [];
  const counts = new Map<string, number>();
  const rows = rowsOf(document, column);
  for (const { theirs, ours } of rows) {
    const [, file, name] = /^`([^`]+)`(?:: (.+))?$/.exec(ours) ?? [];
    const verdict = file === undefined ? ours : "tested";
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    if (file !== undefined) faults.push(...fileFaults(theirs, { file, name }, root));
    else if (!verdicts.includes(ours)) faults.push(`${theirs}: ${ours}`);
  }
  const each = ["tested", ...verdicts].map((verdict) => `${counts.get(verdict) ?? 0} ${verdict}`);
  const said = `Of ${rows.length}: ${each.join(", ")}.`;
  if (!document.includes(said)) faults.push(`it does not say: ${said}`);
  return faults;
}

interface Row {
  readonly theirs: string;
  readonly ours: string;
}

function rowsOf(document: string, column: string): readonly Row[] {
  const rows: Row[] = [];
  let isInside = false;
  for (const line of document.split("\n")) {
    const [, theirs, ours] = /^\| (.*?) +\| (.*?) +\|$/.exec(line) ?? [];
    if (theirs === undefined || ours === undefined) isInside = false;
    else if (theirs === column) isInside = true;
    else if (isInside && !theirs.startsWith("--")) rows.push({ theirs, ours });
  }
  return rows;
}

interface Place {
  readonly file: string;
  readonly name: string | undefined;
}

function fileFaults(theirs: string, { file, name }: Place, root: URL): readonly string[] {
  const url = new URL(file, root);
  if (!existsSync(url)) return [`${theirs}: no file ${file}`];
  if (name === undefined || readFileSync(url, "utf8").includes(`${name}"`)) return [];
  return [`${file}: no test "${name}"`];
}
