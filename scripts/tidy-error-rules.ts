// Tidy rule for coded errors: each code of base's table has a row in docs/errors.md that says the same, and a
// test that names it.

import { type Finding, isTest, type Repo } from "./tidy-repo.ts";

const TABLE = "packages/base/src/errors.ts";
const DOC = "docs/errors.md";

export function checkErrorCodes(repo: Repo): Finding[] {
  const table = repo.texts.get(TABLE);
  if (table === undefined) return [];
  const doc = repo.texts.get(DOC) ?? "";
  const tests = [...repo.texts].filter(([path]) => isTest(path)).map(([, text]) => text);
  const findings: Finding[] = [];
  const known = new Set<string>();
  for (const [index, line] of table.split("\n").entries()) {
    const entry = /^\s+([A-Z][A-Z_]+): \{ status: (\d+), retry: "([a-z-]+)" \}/.exec(line);
    if (entry === null) continue;
    const [, code = "", status = "", retry = ""] = entry;
    known.add(code);
    const add = (message: string): void =>
      void findings.push({ file: TABLE, line: index + 1, rule: "error-codes", message });
    const row = new RegExp(String.raw`^\|\s*\x60${code}\x60\s*\|\s*(\d+)\s*\|\s*([a-z-]+)\s*\|`, "m").exec(
      doc,
    );
    if (row === null) add(`${code} has no row in ${DOC}`);
    else if (row[1] !== status || row[2] !== retry) {
      add(`${code} is ${status}, ${retry} here and ${row[1]}, ${row[2]} in ${DOC}`);
    }
    const named = new RegExp(String.raw`\b${code}\b`);
    if (!tests.some((text) => named.test(text))) add(`${code}: no test names it`);
  }
  for (const [index, line] of doc.split("\n").entries()) {
    const code = /^\|\s*`([A-Z_]+)`/.exec(line)?.[1];
    if (code === undefined || known.has(code)) continue;
    const message = `${code} is not in ${TABLE}; remove the row`;
    findings.push({ file: DOC, line: index + 1, rule: "error-codes", message });
  }
  return findings;
}
