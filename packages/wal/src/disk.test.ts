// The contract of the Disk port, for the real disk and for the simulated one.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { seededRandom } from "@millrace/base/testkit";
import { DiskError, type Disk, type DiskErrorKind } from "./disk.ts";
import { sharedBytes } from "./shared-bytes.ts";
import { memoryDisk } from "./simulated-disk.ts";
import { openSystemDisk } from "./system-disk.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const failsWith = (kind: DiskErrorKind) => (error: unknown) =>
  error instanceof DiskError && error.kind === kind;

async function text(disk: Disk, path: string): Promise<string> {
  return Buffer.from(await disk.read(path, 0, 1000)).toString();
}

type WithDisk = (use: (disk: Disk) => Promise<void>) => Promise<void>;

const withSystemDisk: WithDisk = async (use) => {
  const root = await mkdtemp(join(tmpdir(), "disk-"));
  const disk = await openSystemDisk(join(root, "made"));
  try {
    await use(disk);
  } finally {
    await disk.close();
    await rm(root, { recursive: true });
  }
};

const withMemoryDisk: WithDisk = async (use) => {
  const disk = memoryDisk(seededRandom("contract")).open();
  await use(disk);
  await disk.close();
};

for (const [name, withDisk] of [
  ["system disk", withSystemDisk],
  ["simulated disk", withMemoryDisk],
] as const) {
  suite(`disk contract: ${name}`, () => {
    test("write: new file, then inside and beyond it -> reads back, zeros in between", () =>
      withDisk(async (disk) => {
        await disk.run("bulk", [{ kind: "make-dir", path: "a/b" }]);
        const path = "a/b/file";
        await disk.run("log", [
          { kind: "write", path, position: 0, bytes: bytes("hello") },
          { kind: "write", path, position: 1, bytes: bytes("E") },
          { kind: "write", path, position: 8, bytes: bytes("!") },
          { kind: "sync", path },
          { kind: "sync-dir", path: "a/b" },
        ]);
        assert.equal(await text(disk, path), "hEllo\0\0\0!");
        assert.equal(Buffer.from(await disk.read(path, 2, 3)).toString(), "llo");
        assert.equal((await disk.read(path, 9, 10)).length, 0);
        assert.deepEqual(await disk.list("a"), [{ name: "b", kind: "dir", bytes: 0 }]);
        assert.deepEqual(await disk.list("a/b"), [{ name: "file", kind: "file", bytes: 9 }]);
      }));

    test("write: shared bytes and a part of a larger buffer -> just these bytes", () =>
      withDisk(async (disk) => {
        const shared = sharedBytes(100);
        shared.set(bytes("shared"), 10);
        await disk.run("log", [{ kind: "write", path: "s", position: 0, bytes: shared.subarray(10, 16) }]);
        const large = bytes("....plain....").subarray(4, 9);
        await disk.run("log", [{ kind: "write", path: "s", position: 6, bytes: large }]);
        assert.equal(await text(disk, "s"), "sharedplain");
        assert.equal(large.length, 5); // it was copied, not taken away
      }));

    test("run: ops after a failed one -> not performed, the next run is", () =>
      withDisk(async (disk) => {
        const failing = disk.run("log", [
          { kind: "write", path: "one", position: 0, bytes: bytes("1") },
          { kind: "sync", path: "none" },
          { kind: "write", path: "two", position: 0, bytes: bytes("2") },
        ]);
        const next = disk.run("log", [{ kind: "write", path: "three", position: 0, bytes: bytes("3") }]);
        await assert.rejects(failing, failsWith("missing"));
        await next;
        assert.deepEqual(
          (await disk.list("")).map((entry) => entry.name),
          ["one", "three"],
        );
      }));

    test("run: several runs of a lane, not awaited -> in the order of their calls", () =>
      withDisk(async (disk) => {
        const runs = ["a", "b", "c"].map((letter) =>
          disk.run("log", [{ kind: "write", path: "f", position: 0, bytes: bytes(letter.repeat(3)) }]),
        );
        await disk.run("log", []);
        assert.equal(await text(disk, "f"), "ccc");
        await Promise.all(runs);
      }));

    test("rename over an open file, from another lane -> both lanes and reads see the new one", () =>
      withDisk(async (disk) => {
        await disk.run("log", [{ kind: "write", path: "to", position: 0, bytes: bytes("old") }]);
        assert.equal(await text(disk, "to"), "old");
        await disk.run("bulk", [
          { kind: "write", path: "from", position: 0, bytes: bytes("new one") },
          { kind: "rename", from: "from", to: "to" },
          { kind: "sync-dir", path: "" },
        ]);
        assert.equal(await text(disk, "to"), "new one");
        await disk.run("log", [{ kind: "write", path: "to", position: 0, bytes: bytes("N") }]);
        assert.equal(await text(disk, "to"), "New one");
        await assert.rejects(disk.read("from", 0, 1), failsWith("missing"));
      }));

    test("rename of a directory -> its files move with it", () =>
      withDisk(async (disk) => {
        await disk.run("bulk", [
          { kind: "make-dir", path: "d" },
          { kind: "make-dir", path: "e" },
          { kind: "write", path: "d/f", position: 0, bytes: bytes("x") },
          { kind: "rename", from: "d", to: "e/d" },
        ]);
        assert.equal(await text(disk, "e/d/f"), "x");
        assert.deepEqual(await disk.list("d"), []);
      }));

    test("remove: file, empty directory, missing one, full directory -> only the last fails", () =>
      withDisk(async (disk) => {
        await disk.run("bulk", [
          { kind: "make-dir", path: "d" },
          { kind: "write", path: "d/f", position: 0, bytes: bytes("x") },
        ]);
        await assert.rejects(disk.run("bulk", [{ kind: "remove", path: "d" }]), DiskError);
        await disk.run("bulk", [
          { kind: "remove", path: "d/f" },
          { kind: "remove", path: "d/f" },
          { kind: "remove", path: "d" },
        ]);
        assert.deepEqual(await disk.list(""), []);
      }));

    test("truncate: shorter and longer -> cut, then zeros", () =>
      withDisk(async (disk) => {
        await disk.run("bulk", [
          { kind: "write", path: "f", position: 0, bytes: bytes("abcdef") },
          { kind: "truncate", path: "f", bytes: 2 },
          { kind: "truncate", path: "f", bytes: 4 },
        ]);
        assert.equal(await text(disk, "f"), "ab\0\0");
      }));

    test("missing: read, sync, rename, write below a missing directory -> missing", () =>
      withDisk(async (disk) => {
        await assert.rejects(disk.read("no", 0, 1), failsWith("missing"));
        await assert.rejects(disk.run("log", [{ kind: "sync", path: "no" }]), failsWith("missing"));
        await assert.rejects(
          disk.run("log", [{ kind: "rename", from: "no", to: "x" }]),
          failsWith("missing"),
        );
        const below = disk.run("log", [{ kind: "write", path: "no/x", position: 0, bytes: bytes("x") }]);
        await assert.rejects(below, failsWith("missing"));
        assert.deepEqual(await disk.list("no"), []);
      }));

    test("path with '..', '.', an empty component or a leading '/' -> refused as our mistake", () =>
      withDisk(async (disk) => {
        for (const path of ["../x", "a/../../x", "./x", "a//x", "/x", "", "a\0b"]) {
          assert.throws(() => disk.run("bulk", [{ kind: "remove", path }]), /plain components/);
        }
        assert.throws(
          () => disk.run("bulk", [{ kind: "rename", from: "a", to: "../a" }]),
          /plain components/,
        );
      }));

    test("many files -> more than stay open, all are written and read", () =>
      withDisk(async (disk) => {
        const names = Array.from({ length: 1200 }, (_, i) => `f${i}`);
        await disk.run(
          "bulk",
          names.map((path) => ({ kind: "write", path, position: 0, bytes: bytes(path) }) as const),
        );
        await disk.run(
          "bulk",
          names.map((path) => ({ kind: "write", path, position: 5, bytes: bytes("!") }) as const),
        );
        const texts = await Promise.all(names.map((path) => text(disk, path)));
        assert.deepEqual(
          texts,
          names.map((name) => `${name.padEnd(5, "\0")}!`),
        );
      }));

    test("space -> free and whole, not more free than there is; after close a run -> refused", () =>
      withDisk(async (disk) => {
        const { freeBytes, totalBytes } = await disk.space();
        assert.ok(freeBytes > 0 && freeBytes <= totalBytes, `${freeBytes} of ${totalBytes}`);
        await disk.close();
        await assert.rejects(disk.run("log", []), DiskError);
      }));
  });
}
