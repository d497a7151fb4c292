import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemRandom } from "@millrace/base";
import { ownDataDirectory, refuseNewDirectory } from "./system-data-directory.ts";

function scratch(): string {
  return mkdtempSync(join(tmpdir(), "millrace-own-"));
}

test("data directory: a second owner is refused and named, and may have it once released", async () => {
  const path = scratch();
  const first = await ownDataDirectory(path, systemRandom);
  await assert.rejects(ownDataDirectory(path, systemRandom), new RegExp(`in use by process ${process.pid}`));
  await first.release();
  const second = await ownDataDirectory(path, systemRandom);
  assert.notEqual(second.incarnation, first.incarnation);
  await second.release();
  rmSync(path, { recursive: true });
});

test("data directory: the socket of a killed owner does not stop the next one (D8)", async () => {
  const path = scratch();
  const socket = JSON.stringify(join(path, "owner.sock"));
  const script = `require("net").createServer().listen(${socket}, () => console.log("up"))`;
  const child = spawn(process.execPath, ["-e", script]);
  await new Promise((up) => child.stdout.once("data", up));
  child.kill("SIGKILL");
  await new Promise((gone) => child.once("exit", gone));
  assert.ok(existsSync(join(path, "owner.sock")));
  const owner = await ownDataDirectory(path, systemRandom);
  await owner.release();
  rmSync(path, { recursive: true });
});

test(
  "data directory: cannot be made though its parent is there -> refused with its path",
  { skip: existsSync("/proc/self") ? false : "no /proc here" },
  async () => {
    const refused = { code: "UNAVAILABLE", message: /^\/proc\/millrace-data: ENOENT/ };
    await assert.rejects(ownDataDirectory("/proc/millrace-data", systemRandom), refused);
    const path = join(scratch(), "made", "with", "parents");
    await (await ownDataDirectory(path, systemRandom)).release();
  },
);

test("data directory: of many newcomers after a crash exactly one wins (D8)", async () => {
  const path = scratch();
  const server = createServer();
  await new Promise<void>((up) => server.listen(join(path, "owner.sock"), up));
  const outcomes = await (async () => {
    await new Promise<void>((down) => server.close(() => down()));
    return Promise.allSettled(Array.from({ length: 8 }, () => ownDataDirectory(path, systemRandom)));
  })();
  const winners = outcomes.filter((outcome) => outcome.status === "fulfilled");
  assert.ok(winners.length <= 1, `${winners.length} owners`);
  for (const winner of winners) await winner.value.release();
  const last = await ownDataDirectory(path, systemRandom);
  await last.release();
  rmSync(path, { recursive: true });
});

test("data directory: it may not be new -> refused without data, and nothing is made; taken with data", async () => {
  const path = scratch();
  for (const directory of [path, join(path, "missing")]) {
    const message = new RegExp(`^data directory ${directory} has no data.*is its volume mounted[?]$`);
    assert.throws(() => refuseNewDirectory(directory), { code: "CONFLICT", message });
  }
  assert.deepEqual(readdirSync(path), []);
  await (await ownDataDirectory(path, systemRandom)).release();
  refuseNewDirectory(path);
  rmSync(path, { recursive: true });
});

test("data directory: a newer format -> refused, saying which formats are read", async () => {
  const path = scratch();
  writeFileSync(join(path, "format.json"), '{"format":2}');
  await assert.rejects(ownDataDirectory(path, systemRandom), /has format 2; .* up to 1/);
  assert.deepEqual(readdirSync(path), ["format.json"], "whoever is refused leaves nothing");
  rmSync(path, { recursive: true });
});

test("data directory: a path longer than a socket name may be -> owned all the same", async () => {
  const path = join(scratch(), "x".repeat(120), "y".repeat(120));
  const owner = await ownDataDirectory(path, systemRandom);
  await assert.rejects(ownDataDirectory(path, systemRandom), /in use/);
  await owner.release();
});
