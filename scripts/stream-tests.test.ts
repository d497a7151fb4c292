// The table of the stream service's tests (docs/stream-tests.md) names files and tests: they are there, by those names.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../", import.meta.url);
const VERDICTS = ["not yet", "about volumes"];

test("table of the stream service's tests: every file and test that it names -> is there; the counts are right", () => {
  const table = readFileSync(new URL("docs/stream-tests.md", ROOT), "utf8");
  const rows = [...table.matchAll(/^\| (.*?) +\| (.*?) +\|$/gm)].filter(([, theirs = ""]) => {
    return theirs !== "Keboola" && !theirs.startsWith("--");
  });
  const counts = new Map<string, number>();
  for (const [, theirs, ours = ""] of rows) {
    const [, file, name] = /^`([^`]+)`(?:: (.+))?$/.exec(ours) ?? [];
    const verdict = file === undefined ? ours : "tested";
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    if (file === undefined) {
      assert.ok(VERDICTS.includes(ours), `${theirs}: ${ours}`);
      continue;
    }
    const path = fileURLToPath(new URL(file, ROOT));
    assert.ok(existsSync(path), `${theirs}: no file ${file}`);
    if (name !== undefined)
      assert.ok(readFileSync(path, "utf8").includes(`${name}"`), `${file}: no test "${name}"`);
  }
  const [yes, no, volumes] = ["tested", ...VERDICTS].map((verdict) => counts.get(verdict) ?? 0);
  const said = `Of ${rows.length}: ${yes} tested, ${no} not yet, ${volumes} about volumes.`;
  assert.ok(table.includes(said), said);
});
