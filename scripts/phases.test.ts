import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";

import { DEFAULT_PHASES, kindOf, PHASES, testFiles } from "./phases.mjs";

test("kindOf: each name of the house style -> its phase; what is no test -> undefined", () => {
  assert.equal(kindOf("log.test.js"), "unit");
  assert.equal(kindOf("log.prop.test.js"), "unit");
  assert.equal(kindOf("deep/log.sim.test.js"), "sim");
  assert.equal(kindOf("up.e2e.test.js"), "e2e");
  assert.equal(kindOf("up.crash.test.js"), "crash");
  assert.equal(kindOf("page.browser.test.js"), "browser");
  for (const other of ["log.js", "log.bench.js", "log.test.js.map", "log.test.d.ts", "test.js"]) {
    assert.equal(kindOf(other), undefined);
  }
});

test("testFiles: only compiled tests of the kind, of packages that are built, filtered by path", () => {
  const root = mkdtempSync(join(tmpdir(), "millrace-phases-"));
  try {
    for (const file of [
      "a/dist/x.test.js",
      "a/dist/deep/y.test.js",
      "a/dist/z.e2e.test.js",
      "a/src/w.test.ts",
      "b/x",
    ]) {
      mkdirSync(join(root, "packages", dirname(file)), { recursive: true });
      writeFileSync(join(root, "packages", file), "");
    }
    assert.deepEqual(testFiles("unit", undefined, root), [
      "packages/a/dist/deep/y.test.js",
      "packages/a/dist/x.test.js",
    ]);
    assert.deepEqual(testFiles("unit", "deep", root), ["packages/a/dist/deep/y.test.js"]);
    assert.deepEqual(testFiles("e2e", undefined, root), ["packages/a/dist/z.e2e.test.js"]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("npm test: every phase but the newcomer, which itself runs npm test; CI adds that one", () => {
  assert.deepEqual(
    [...DEFAULT_PHASES, "newcomer"],
    PHASES.map(({ name }) => name),
  );
  const ci = readFileSync(new URL("../.ci/run", import.meta.url), "utf8");
  assert.match(ci, /npm test -- --newcomer$/m);
  assert.ok(ci.trimEnd().split("\n").length <= 5);
});

test("npm start: the shell of npm is replaced, so that a signal to the group ends nobody before the platform", () => {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const { scripts } = JSON.parse(manifest) as { scripts: Record<string, string> };
  assert.equal(scripts["start"], "exec node scripts/start.mjs");
});
