import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "@millrace/base/testkit";
import { DiskError } from "./disk.ts";
import { filesOf, memoryDisk, SimulatedDisk } from "./simulated-disk.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);

test("crash: synced file with a synced entry -> stays, whatever the seed", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const medium = memoryDisk(seededRandom(`keep/${seed}`));
    await medium.open().run("log", [
      { kind: "make-dir", path: "d" },
      { kind: "write", path: "d/f", position: 0, bytes: bytes("kept") },
      { kind: "sync", path: "d/f" },
      { kind: "sync-dir", path: "d" },
    ]);
    medium.crash();
    assert.equal(Buffer.from(await medium.open().read("d/f", 0, 10)).toString(), "kept");
  }
});

test("crash: unsynced write -> over the seeds it is kept, lost and torn", async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const medium = memoryDisk(seededRandom(`torn/${seed}`));
    await medium.open().run("log", [
      { kind: "write", path: "f", position: 0, bytes: bytes("....") },
      { kind: "sync", path: "f" },
      { kind: "sync-dir", path: "" },
      { kind: "write", path: "f", position: 0, bytes: bytes("abcd") },
    ]);
    medium.crash();
    seen.add(Buffer.from(medium.file("f")!.read(0, 9)).toString());
  }
  for (const image of ["....", "abcd", "ab..", "..cd", ".b..", "a.cd"]) assert.ok(seen.has(image), image);
});

test("make-dir: fails halfway, or its parent's sync does -> some power cuts take it, unless made again", async () => {
  for (const again of [false, true]) {
    for (const fault of ["failMakeDir", "failSync"] as const) {
      const seen = new Set<boolean>();
      for (let seed = 0; seed < 40; seed++) {
        const medium = memoryDisk(seededRandom(`make-dir/${seed}`));
        const disk = medium.open();
        const make = (path: string): Promise<void> => disk.run("bulk", [{ kind: "make-dir", path }]);
        await make("d");
        medium[fault]((path) => path === (fault === "failSync" ? "d" : "d/e"));
        await assert.rejects(make("d/e"), { kind: fault === "failSync" ? "sync-failed" : "io" });
        if (again) await make("d/e");
        medium.crash();
        seen.add((await medium.open().list("d")).some(({ name }) => name === "e"));
      }
      assert.deepEqual([seen.has(true), seen.has(false)], [true, !again]);
    }
  }
});

test("crash: unsynced creation and rename -> kept or lost as a whole", async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const medium = memoryDisk(seededRandom(`entries/${seed}`));
    const disk = medium.open();
    await disk.run("log", [
      { kind: "write", path: "a", position: 0, bytes: bytes("a") },
      { kind: "sync", path: "a" },
      { kind: "sync-dir", path: "" },
      { kind: "rename", from: "a", to: "b" },
      { kind: "write", path: "c", position: 0, bytes: bytes("c") },
    ]);
    medium.crash();
    seen.add(
      filesOf(medium)
        .map(({ path }) => path)
        .join(),
    );
  }
  assert.deepEqual([...seen].sort(), ["a", "a,c", "b", "b,c"]);
});

test("crash: created, then moved to another directory that is synced -> only there", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const medium = memoryDisk(seededRandom(`moved/${seed}`));
    await medium.open().run("log", [
      { kind: "make-dir", path: "from" },
      { kind: "make-dir", path: "to" },
      { kind: "write", path: "from/a", position: 0, bytes: bytes("a") },
      { kind: "sync", path: "from/a" },
      { kind: "rename", from: "from/a", to: "to/a" },
      { kind: "sync-dir", path: "to" },
    ]);
    medium.crash();
    assert.deepEqual(
      filesOf(medium).map(({ path }) => path),
      ["to/a"],
    );
  }
});

test("kill: unsynced write -> stays, and a later crash may still take it", async () => {
  const medium = memoryDisk(seededRandom("kill"));
  await medium.open().run("log", [{ kind: "write", path: "f", position: 0, bytes: bytes("x") }]);
  medium.kill();
  assert.equal((await medium.open().list("")).length, 1);
});

test("kill: operations under way -> never end", async () => {
  const runs: (() => void)[] = [];
  const medium = new SimulatedDisk({ random: seededRandom("late"), schedule: (_ms, run) => runs.push(run) });
  let ended = false;
  const ending = (): void => {
    ended = true;
  };
  medium.open().space().then(ending, ending);
  medium.kill();
  for (const run of runs) run();
  await new Promise((done) => setImmediate(done));
  assert.equal(ended, false);
});

test("failSync: the pages are lost, though reads still see them and a later sync succeeds", async () => {
  const medium = memoryDisk(seededRandom("fail"));
  const disk = medium.open();
  await disk.run("log", [{ kind: "write", path: "f", position: 0, bytes: bytes("gone") }]);
  await disk.run("log", [{ kind: "sync-dir", path: "" }]);
  medium.failSync((path) => path === "f");
  const failsToSync = (error: unknown) => error instanceof DiskError && error.kind === "sync-failed";
  await assert.rejects(disk.run("log", [{ kind: "sync", path: "f" }]), failsToSync);
  await disk.run("log", [{ kind: "sync", path: "f" }]);
  assert.equal((await disk.read("f", 0, 9)).length, 4);
  medium.crash();
  assert.equal(medium.file("f")!.length, 0);
});

test("capacity: a write that grows too far -> full after the part that fits; overwriting needs no room", async () => {
  const medium = memoryDisk(seededRandom("full"));
  medium.capacityBytes = 6;
  const disk = medium.open();
  await disk.run("log", [{ kind: "write", path: "f", position: 0, bytes: bytes("1234") }]);
  const isFull = (error: unknown) => error instanceof DiskError && error.kind === "full";
  await assert.rejects(
    disk.run("log", [{ kind: "write", path: "f", position: 3, bytes: bytes("abcdef") }]),
    isFull,
  );
  assert.equal(Buffer.from(await disk.read("f", 0, 9)).toString(), "123abc");
  assert.equal((await disk.space()).freeBytes, 0);
  await disk.run("log", [{ kind: "write", path: "f", position: 0, bytes: bytes("zz") }]);
  medium.capacityBytes = 7;
  await disk.run("log", [{ kind: "write", path: "f", position: 6, bytes: bytes("!") }]);
});

test("withoutSync: nothing survives but chance", async () => {
  let lost = 0;
  for (let seed = 0; seed < 20; seed++) {
    const schedule = (_ms: number, run: () => void): void => queueMicrotask(run);
    const medium = new SimulatedDisk({ random: seededRandom(`no/${seed}`), schedule, withoutSync: true });
    await medium.open().run("log", [
      { kind: "write", path: "f", position: 0, bytes: bytes("x") },
      { kind: "sync", path: "f" },
      { kind: "sync-dir", path: "" },
    ]);
    medium.crash();
    if (medium.file("f")?.length !== 1) lost++;
  }
  assert.ok(lost > 5, `${lost} of 20`);
});
