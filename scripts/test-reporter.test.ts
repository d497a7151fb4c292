import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

interface Record {
  readonly verdict: string;
  readonly name: string;
  readonly reason?: string;
}

/** Runs a test file's source under the reporter. */
function report(source: string): { records: Record[]; stdout: string } {
  const folder = mkdtempSync(join(tmpdir(), "millrace-reporter-"));
  try {
    writeFileSync(join(folder, "a.test.mjs"), source);
    const args = [
      "--test",
      "--test-timeout=1000",
      `--test-reporter=${new URL("./test-reporter.mjs", import.meta.url).href}`,
    ];
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env; // or the inner run would report to ours
    const { stdout } = spawnSync(
      process.execPath,
      [...args, "--test-reporter-destination=stdout", "a.test.mjs"],
      {
        cwd: folder,
        env: { ...environment, MILLRACE_TEST_RECORDS: join(folder, "records") },
        encoding: "utf8",
      },
    );
    const lines = readFileSync(join(folder, "records"), "utf8").trimEnd().split("\n");
    return { records: lines.map((line) => JSON.parse(line) as Record), stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const HEAD = 'import test, { describe, it } from "node:test";\n';

test("reporter: passes, failures and skips at any depth -> counted once each, suites not", () => {
  const { records, stdout } = report(`${HEAD}
    test("a", () => {});
    describe("suite", () => { it("b", () => {}); it("c", () => { throw new Error("boom"); }); });
    test("d", { skip: "no chromium" }, () => {});
    test("e", async (t) => { await t.test("f", () => { throw new Error("bang"); }); });
    console.log("printed by the test");`);
  assert.deepEqual(
    records.map(({ verdict, name }) => `${verdict} ${name}`),
    ["passed a", "passed b", "failed c", "skipped d", "failed f"],
  );
  assert.equal(records.find(({ name }) => name === "d")?.reason, "no chromium");
  assert.match(stdout, /not ok {2}a\.test\.mjs: c\n {4}Error: boom/);
  assert.match(stdout, /a\.test\.mjs: 2 passed, 2 FAILED, 1 skipped/);
  assert.match(stdout, /printed by the test/);
});

test("reporter: a file without tests -> failed", () => {
  assert.deepEqual(report("export {};").records, [
    { verdict: "failed", name: "(the file)", file: "a.test.mjs", reason: "has no tests" },
  ]);
});

test("reporter: a file that cannot load, or dies after a passed test -> failed", () => {
  assert.equal(report('throw new Error("at load");').records[0]?.verdict, "failed");
  const { records } = report(`${HEAD} test("a", () => {}); setTimeout(() => process.exit(3), 50);`);
  assert.deepEqual(
    records.map(({ verdict }) => verdict),
    ["passed", "failed"],
  );
});
