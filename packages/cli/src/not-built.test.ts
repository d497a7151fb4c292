// The command of a clone that was not built.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { scratch } from "./test-children.ts";

test("millrace in a clone that is not built -> says what to run", () => {
  const clone = scratch();
  mkdirSync(join(clone, "bin"));
  writeFileSync(join(clone, "package.json"), '{"type":"module"}');
  const bin = join(clone, "bin/millrace.js");
  copyFileSync(fileURLToPath(new URL("../bin/millrace.js", import.meta.url)), bin);
  const { status, stderr } = spawnSync(process.execPath, [bin, "--help"], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^millrace: Cannot find module .*: run npm ci and npm run build in its clone first\n$/,
  );
});
