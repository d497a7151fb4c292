// What only the real disk can do wrong: threads that outlive the process or keep it alive, and a full file system.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { DiskError, type DiskOp } from "./disk.ts";
import { sharedBytes } from "./shared-bytes.ts";
import { openSystemDisk } from "./system-disk.ts";
import { diskErrorOf } from "./system-disk-ops.ts";

const index = new URL("./index.js", import.meta.url).href;

async function runScript(script: string): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "disk-"));
  try {
    const whole = `import { openSystemDisk } from ${JSON.stringify(index)};
      const disk = await openSystemDisk(${JSON.stringify(root)}); ${script}`;
    const options = { timeout: 20_000 };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module", "-e", whole],
      options,
    );
    return stdout;
  } finally {
    await rm(root, { recursive: true });
  }
}

/** Runs `script` with a DiskOps `ops` on calls of node:fs that it may let fail. @returns what it printed, as JSON */
async function runOps(script: string): Promise<unknown> {
  const module = new URL("./system-disk-ops.js", import.meta.url).href;
  const whole = `import fs from "node:fs"; import { syncBuiltinESMExports } from "node:module";
    const { fsyncSync, mkdirSync, openSync } = fs;
    const opened = new Map(), synced = []; let fails = () => undefined;
    const refuse = (call, path) => {
      const code = fails(call, path);
      if (code) throw Object.assign(new Error(code), { code });
    };
    fs.openSync = (path, ...rest) => {
      refuse("open", path);
      const file = openSync(path, ...rest);
      opened.set(file, path);
      return file;
    };
    fs.mkdirSync = (path, ...rest) => { refuse("mkdir", path); return mkdirSync(path, ...rest); };
    fs.fsyncSync = (file) => { fsyncSync(file); synced.push(opened.get(file).slice(root.length + 1)); };
    syncBuiltinESMExports();
    const { DiskOps } = await import(${JSON.stringify(module)});
    const root = fs.realpathSync("."), ops = new DiskOps(root, 16);
    const make = (...paths) => {
      try {
        ops.perform(paths.map((path) => ({ kind: "make-dir", path })));
        return "made";
      } catch (error) {
        return error.kind;
      }
    };
    ${script}; console.log(JSON.stringify({ outcomes, synced }));`;
  const cwd = await mkdtemp(join(tmpdir(), "disk-"));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", whole], {
      cwd,
    });
    return JSON.parse(stdout);
  } finally {
    await rm(cwd, { recursive: true });
  }
}

test("make-dir: its parent could not be synced -> the next one syncs it, however often it is asked", async () => {
  const found = await runOps(`const outcomes = [make("spools")];
    fails = (call, path) => call === "open" && path.endsWith("spools") ? "EMFILE" : undefined;
    outcomes.push(make("spools/a")); fails = () => undefined; outcomes.push(make("spools/a"), make("spools/a"))`);
  assert.deepEqual(found, { outcomes: ["made", "io", "made", "made"], synced: ["", "spools"] });
});

test("make-dir: a later one of the run fails -> those before it are not taken for durable", async () => {
  const found =
    await runOps(`fails = (call, path) => call === "mkdir" && path.endsWith("b") ? "ENOSPC" : undefined;
    const outcomes = [make("x/a", "x/b")]; fails = () => undefined; outcomes.push(make("x/a"), make("x/b"))`);
  assert.deepEqual(found, { outcomes: ["full", "made", "made"], synced: ["", "x", "x"] });
});

test("make-dir: it was renamed or removed since -> made and synced again, as is what was below it", async () => {
  const found = await runOps(`const outcomes = [make("x/a/b"), make("y")];
    ops.perform([{ kind: "rename", from: "x/a", to: "y/a" }]); outcomes.push(make("x/a/b"));
    ops.perform([{ kind: "remove", path: "x/a/b" }]); outcomes.push(make("x/a/b"))`);
  assert.deepEqual(found, {
    outcomes: ["made", "made", "made", "made"],
    synced: ["", "x", "x/a", "", "x", "x/a", "x/a"],
  });
});

const WRITE = `[{ kind: "write", path: "f", position: 0, bytes: new Uint8Array(9) }, { kind: "sync", path: "f" }]`;

test("openSystemDisk: never closed, idle -> the process ends by itself", async () => {
  assert.equal(await runScript(`await disk.run("log", ${WRITE}); console.log("done");`), "done\n");
});

test("list: other files come and go meanwhile -> those that stay are listed every time", async () => {
  const root = await mkdtemp(join(tmpdir(), "disk-"));
  const disk = await openSystemDisk(root);
  try {
    const bytes = new Uint8Array(1);
    const stay = ["a", "m", "z"].map((name) => `dir/${name}`);
    await disk.run("log", [{ kind: "make-dir", path: "dir" }]);
    await disk.run(
      "log",
      stay.map((path) => ({ kind: "write", path, position: 0, bytes })),
    );
    let turns = 0;
    const comeAndGo = async (): Promise<void> => {
      for (; turns < 300; turns++) {
        await disk.run("bulk", [{ kind: "write", path: "dir/new", position: 0, bytes }]);
        await disk.run("bulk", [{ kind: "rename", from: "dir/new", to: "dir/other" }]);
        await disk.run("bulk", [{ kind: "remove", path: "dir/other" }]);
      }
    };
    const lists = async (): Promise<void> => {
      while (turns < 300) {
        const names = (await disk.list("dir")).map(({ name }) => `dir/${name}`);
        assert.deepEqual(
          stay.filter((name) => !names.includes(name)),
          [],
        );
      }
    };
    await Promise.all([comeAndGo(), lists(), lists(), lists()]);
  } finally {
    await disk.close();
    await rm(root, { recursive: true });
  }
});

test("run: nothing else keeps the process alive -> it lives until the run has ended", async () => {
  const script = `disk.run("bulk", ${WRITE}).then(async () => console.log((await disk.list(""))[0].bytes));`;
  assert.equal(await runScript(script), "9\n");
});

test("close: with runs under way -> they end first, then the threads", async () => {
  const script = `const runs = [disk.run("log", ${WRITE}), disk.run("bulk", ${WRITE})];
    await disk.close(); await Promise.all(runs); console.log("closed");`;
  assert.equal(await runScript(script), "closed\n");
});

test("run: many at once, of many files and memories, some of which fail -> each has its own outcome", async () => {
  const root = await mkdtemp(join(tmpdir(), "disk-"));
  const disk = await openSystemDisk(root);
  try {
    for (let round = 0; round < 3; round++) {
      const runs = Array.from({ length: 120 }, (_, i) => {
        const bytes = sharedBytes(64)
          .fill(i + round)
          .subarray(i % 7);
        const path = i % 5 === 3 ? `none/${i}` : `file-${i % 40}`;
        const writes: DiskOp[] = [{ kind: "write", path, position: 100 * i, bytes }];
        if (i % 11 === 0) writes.push({ kind: "write", path, position: 100 * i, bytes: bytes.slice() });
        return { i, path, bytes, done: disk.run("log", [...writes, { kind: "sync", path }]) };
      });
      const outcomes = await Promise.allSettled(runs.map(({ done }) => done));
      for (const { i, path, bytes } of runs) {
        const outcome = outcomes[i]!;
        if (path.startsWith("none/")) {
          assert.ok(outcome.status === "rejected" && outcome.reason instanceof DiskError);
          assert.deepEqual([outcome.reason.kind, outcome.reason.path], ["missing", path]);
        } else {
          assert.equal(outcome.status, "fulfilled");
          assert.deepEqual(Buffer.from(await disk.read(path, 100 * i, bytes.length)), Buffer.from(bytes));
        }
      }
    }
  } finally {
    await disk.close();
    await rm(root, { recursive: true });
  }
});

test("exit in the middle of work -> the threads die with the process", async () => {
  const script = `for (let i = 0; i < 100; i++) disk.run("log", ${WRITE}); console.log("exit"); process.exit(0);`;
  assert.equal(await runScript(script), "exit\n");
});

test("diskErrorOf: what the system says -> the kind that callers decide by", () => {
  const coded = (code: string): Error => Object.assign(new Error(code), { code });
  assert.equal(diskErrorOf("f", "write", coded("ENOSPC")).kind, "full");
  assert.equal(diskErrorOf("f", "write", coded("EDQUOT")).kind, "full");
  assert.equal(diskErrorOf("f", "open", coded("ENOENT")).kind, "missing");
  assert.equal(diskErrorOf("f", "write", coded("EIO")).kind, "io");
  assert.equal(diskErrorOf("f", "sync", coded("ENOSPC"), "sync-failed").kind, "sync-failed");
});
