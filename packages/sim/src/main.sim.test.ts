// The commands as they are called.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

function run(command: "main" | "soak", ...args: string[]): { code: number | null; out: string; err: string } {
  const file = new URL(`./${command}.js`, import.meta.url).pathname;
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], { encoding: "utf8" });
  return { code: status, out: stdout, err: stderr };
}

test("sim --seed: the last line says seed, events and trace, the same in each process", () => {
  const { code, out } = run("main", "--seed", "7");
  const last = out.trimEnd().split("\n").at(-1)!;
  assert.match(last, /^\{"seed":7,"events":\d+,"trace":"[0-9a-f]{64}"/);
  assert.deepEqual([code, run("main", "--seed", "7").out], [0, out]);
});

test("sim --seeds: the last line sums up", () => {
  const { code, out } = run("main", "--seeds", "2", "--twice");
  assert.equal(code, 0);
  assert.equal((JSON.parse(out) as { seeds: number }).seeds, 2);
});

test("sim with a negative control: fails, and says what is needed to replay it", () => {
  const { code, err } = run("main", "--without-loaded-end");
  assert.equal(code, 1);
  assert.match(err, /a record is at most one row/);
  assert.match(err, /\nswarm \{.*\}\ncommit [0-9a-f]{40}|unknown, Node v\d+\./);
  assert.match(err, /\nreplay with: npm run sim -- --seed \d+ --without-loaded-end\n$/);
  assert.ok(err.split("\n").filter((line) => /^\d+\.\d{3} /.test(line)).length >= 50);
});

test("sim and soak: arguments that they do not take -> said, with the usage, exit 2", () => {
  for (const args of [["--seeds", "0"], ["--seeds", "x"], ["--seed="], ["--bogus"], ["stray"]]) {
    const { code, err } = run("main", ...args);
    assert.deepEqual([args, code, /npm run sim -- /.test(err)], [args, 2, true]);
  }
  for (const args of [["--minutes", "0"], ["--minutes", "soon"], ["--bogus"]]) {
    const { code, err } = run("soak", ...args);
    assert.deepEqual([args, code, /npm run soak:seeds -- /.test(err)], [args, 2, true]);
  }
});

test("sim --help, soak --help: the usage, exit 0", () => {
  for (const command of ["main", "soak"] as const) {
    const { code, out } = run(command, "--help");
    assert.equal(code, 0);
    assert.match(out, /^npm run (sim|soak:seeds) -- /);
  }
});

test("soak: a moment of it -> a JSON summary", () => {
  const { code, out } = run("soak", "--minutes", "0.01");
  assert.equal(code, 0);
  const summary = JSON.parse(out.trimEnd().split("\n").at(-1)!) as Record<string, unknown>;
  assert.ok(Number(summary["seeds"]) >= 1 && Number(summary["events"]) > 0);
  assert.deepEqual(summary["failed"], []);
});
