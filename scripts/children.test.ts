import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { runChild } from "./children.mjs";

const node = (code: string, timeoutMs = 20_000): ReturnType<typeof runChild> =>
  runChild(process.execPath, ["-e", code], { timeoutMs, capture: true });

test("runChild: ends by itself -> its code, and its two streams", async () => {
  const ran = await node('console.log("out"); console.error("err"); process.exitCode = 3');
  assert.equal(ran.code, 3);
  assert.equal(ran.timedOut, false);
  assert.equal(ran.stdout, "out\n");
  assert.deepEqual(ran.output.trimEnd().split("\n").sort(), ["err", "out"]);
});

test("runChild: over its time -> killed, with what it started", async () => {
  const grandchild = "setInterval(() => {}, 1000)";
  const ran = await node(
    `const { pid } = require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(grandchild)}]);
     console.log(pid); setInterval(() => {}, 1000);`,
    1000,
  );
  assert.equal(ran.timedOut, true);
  assert.notEqual(ran.code, 0);
  await assertGone(Number(ran.stdout));
});

test("runChild: ends and leaves a process behind, which holds its output open -> that one is ended too", async () => {
  const ran = await node(
    `const { pid } = require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], {
       stdio: "inherit" });
     console.log(pid); process.exit(0);`,
  );
  assert.equal(ran.code, 0);
  await assertGone(Number(ran.stdout));
});

test("runChild: no such command -> code 1 and its name", async () => {
  const ran = await runChild("no-such-command-here", [], { timeoutMs: 1000, capture: true });
  assert.equal(ran.code, 1);
  assert.match(ran.output, /no-such-command-here/);
});

async function assertGone(pid: number): Promise<void> {
  assert.ok(pid > 1);
  for (let tries = 0; tries < 100; tries += 1) {
    if (!isRunning(pid)) return;
    await sleep(20);
  }
  assert.fail(`process ${pid} is still there`);
}

/** A killed process stays in the table, as a zombie, until its new parent has asked for it. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const status = `/proc/${pid}/status`;
  return !existsSync(status) || !/^State:\s+Z/m.test(readFileSync(status, "utf8"));
}
