// Tidy rule for metrics: each one that is declared has a row in docs/metrics.md with its type and its help text.

import { type Finding, isTest, type Repo } from "./tidy-repo.ts";
import { lineAt } from "./tidy-scan.ts";

const DOC = "docs/metrics.md";
/** Name and help as literals; whoever reads a metric by its name gives an empty help. */
const DECLARED = /\b(counter|gauge|histogram)\(\s*"([a-z][a-z0-9_]*)",\s*"([^"]+)"/g;
const ROW = /^\|\s*`([a-z][a-z0-9_]*)`\s*\|\s*(\w+)\s*\|[^|]*\|\s*([^|]*?)\s*\|$/;

interface Metric {
  readonly type: string;
  readonly help: string;
  readonly line: number;
}

export function checkMetrics(repo: Repo): Finding[] {
  const findings: Finding[] = [];
  const add = (file: string, line: number, message: string): void =>
    void findings.push({ file, line, rule: "metrics", message });
  const rows = rowsOf(repo.texts.get(DOC) ?? "");
  const declared = new Set<string>();
  for (const { path, text, package: owner } of repo.sources.values()) {
    if (owner === undefined || isTest(path) || !repo.production.has(path)) continue;
    for (const { index, 1: type = "", 2: name = "", 3: help = "" } of text.matchAll(DECLARED)) {
      declared.add(name);
      const row = rows.get(name);
      const line = lineAt(text, index);
      if (row === undefined) add(path, line, `${name} has no row in ${DOC}`);
      else if (row.type !== type || row.help !== withoutStop(help)) {
        add(path, line, `${name} is a ${type}, "${help}" here and a ${row.type}, "${row.help}" in ${DOC}`);
      }
    }
  }
  for (const [name, { line }] of rows) {
    if (!declared.has(name)) add(DOC, line, `nothing declares ${name}; remove the row`);
  }
  return findings;
}

function rowsOf(doc: string): Map<string, Metric> {
  const rows = new Map<string, Metric>();
  for (const [index, text] of doc.split("\n").entries()) {
    const row = ROW.exec(text);
    if (row === null) continue;
    const [, name = "", type = "", help = ""] = row;
    rows.set(name, { type, help: withoutStop(help), line: index + 1 });
  }
  return rows;
}

function withoutStop(help: string): string {
  return help.replace(/\.$/, "");
}
