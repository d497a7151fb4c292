// The overlay against a disk that is written: whatever is done to either, both read the same, and the disk below the
// overlay stays as it was.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { seededRandom } from "@millrace/base/testkit";
import { DiskError, type Disk, type DiskOp } from "@millrace/wal";
import { memoryDisk } from "@millrace/wal/testkit";
import fc from "fast-check";
import { OverlayDisk } from "./doctor-overlay-disk.ts";

const NAMES = ["a", "b", "d", "d/x", "d/y", "e", "e/x", "e/d"];
const path = fc.constantFrom(...NAMES);
/** Around the bounds of pages. */
const position = fc.oneof(
  fc.nat(20),
  fc.integer({ min: 4080, max: 4110 }),
  fc.integer({ min: 8180, max: 12_300 }),
);
const content = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 1, max: 9000 }).map((length) => new Uint8Array(length)),
  fc.integer({ min: 1, max: 9000 }).map((length) => new Uint8Array(length).fill(7)),
);
const operation: fc.Arbitrary<DiskOp> = fc.oneof(
  fc.record({ kind: fc.constant("write"), path, position, bytes: content }),
  fc.record({ kind: fc.constant("truncate"), path, bytes: position }),
  fc.record({ kind: fc.constant("make-dir"), path }),
  fc.record({ kind: fc.constant("rename"), from: path, to: path }),
  fc.record({ kind: fc.constant("remove"), path }),
  fc.record({ kind: fc.constant("sync"), path }),
);

function newDisk(): Disk {
  return memoryDisk(seededRandom("overlay")).open();
}

/** Performs what can be performed; a rename that would hide something is left out, disks differ there. */
async function perform(disk: Disk, ops: readonly DiskOp[]): Promise<readonly string[]> {
  const outcomes: string[] = [];
  for (const op of ops) {
    if (op.kind === "rename" && (await exists(disk, op.to))) continue;
    if (op.kind === "rename" && op.to.startsWith(`${op.from}/`)) continue;
    try {
      await disk.run("bulk", [op]);
      outcomes.push("done");
    } catch (error) {
      assert.ok(error instanceof DiskError, String(error));
      outcomes.push("failed");
    }
  }
  return outcomes;
}

async function exists(disk: Disk, at: string): Promise<boolean> {
  const slash = at.lastIndexOf("/");
  const entries = await disk.list(slash < 0 ? "" : at.slice(0, slash));
  return entries.some(({ name }) => name === at.slice(slash + 1));
}

/** Every file with its bytes, every directory. */
async function tree(disk: Pick<Disk, "list" | "read">, dir = ""): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { name, kind, bytes } of await disk.list(dir)) {
    const at = dir === "" ? name : `${dir}/${name}`;
    if (kind === "dir") {
      found.push(`${at}/`, ...(await tree(disk, at)));
    } else {
      const content = await disk.read(at, 0, bytes + 10);
      assert.equal(content.length, bytes);
      const middle = await disk.read(at, Math.floor(bytes / 2), 5000);
      assert.deepEqual(
        Buffer.from(middle),
        Buffer.from(content.subarray(Math.floor(bytes / 2)).subarray(0, 5000)),
      );
      found.push(`${at} ${bytes} ${createHash("sha1").update(content).digest("hex")}`);
    }
  }
  return found;
}

test("overlay: any operations over any disk -> the same as on a disk of its own, nothing changes below", async () => {
  const operations = fc.array(operation, { maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(operations, operations, async (before, after) => {
      const below = newDisk();
      const oracle = newDisk();
      await perform(below, before);
      await perform(oracle, before);
      const unchanged = await tree(below);
      const overlay = new OverlayDisk(below);
      assert.deepEqual(await perform(overlay, after), await perform(oracle, after));
      assert.deepEqual(await tree(overlay), await tree(oracle));
      assert.deepEqual(await tree(below), unchanged);
      await Promise.all([below.close(), oracle.close()]);
    }),
    { numRuns: 150 },
  );
});

test("overlay: runs that are not awaited -> in the order of their calls, also behind one that fails", async () => {
  const overlay = new OverlayDisk(newDisk());
  const write = (text: string) =>
    ({ kind: "write", path: "f", position: 0, bytes: Buffer.from(text) }) as const;
  const runs = [
    overlay.run("log", [write("aaa")]),
    overlay.run("bulk", [write("bbb")]),
    overlay.run("log", [{ kind: "sync", path: "none" }, write("ccc")]),
    overlay.run("bulk", [write("d")]),
  ];
  const outcomes = await Promise.allSettled(runs);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "fulfilled", "rejected", "fulfilled"],
  );
  assert.equal(Buffer.from(await overlay.read("f", 0, 9)).toString(), "dbb");
});

test("overlay: a path that leaves the root, a missing file -> refused", async () => {
  const overlay = new OverlayDisk(newDisk());
  await assert.rejects(overlay.read("../x", 0, 1), /plain components/);
  await assert.rejects(overlay.run("log", [{ kind: "remove", path: "a//b" }]), /plain components/);
  const isMissing = (error: unknown): boolean => error instanceof DiskError && error.kind === "missing";
  await assert.rejects(overlay.read("x", 0, 1), isMissing);
  await assert.rejects(overlay.run("log", [{ kind: "truncate", path: "x", bytes: 0 }]), isMissing);
  assert.deepEqual(await overlay.list("x"), []);
  assert.ok((await overlay.space()).freeBytes > 2 ** 40);
});
