// What only the real disk can do wrong: threads that outlive the process or keep it alive, and a full file system.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
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
