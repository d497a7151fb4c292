import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { makeDurableDirectory } from "./file-directories.ts";

const scratch = mkdtempSync(join(tmpdir(), "directories-"));

suite("durable directories", () => {
  after(() => rmSync(scratch, { recursive: true }));

  test("what is missing is made, by several at once", async () => {
    const dir = join(scratch, "a/b/c");
    await Promise.all([1, 2, 3].map(() => makeDurableDirectory(dir, scratch)));
    assert.ok(statSync(dir).isDirectory());
    await makeDurableDirectory(dir, scratch);
  });

  test("a file is in the way -> refused", async () => {
    writeFileSync(join(scratch, "file"), "");
    await assert.rejects(makeDurableDirectory(join(scratch, "file/below"), scratch), { code: "ENOTDIR" });
    await assert.rejects(makeDurableDirectory(join(scratch, "file"), scratch), { code: "EEXIST" });
  });

  const noProc = existsSync("/proc/self") ? false : "this system has no /proc";
  test("a directory that takes no others -> refused, and it ends", { skip: noProc }, async () => {
    await assert.rejects(makeDurableDirectory("/proc/nope/below", "/"), { code: "ENOENT" });
  });
});
