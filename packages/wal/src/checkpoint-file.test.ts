import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { readCheckpoint, writeCheckpoint } from "./checkpoint-file.ts";
import { memoryDisk, type SimulatedDisk } from "./simulated-disk.ts";

async function write(medium: SimulatedDisk, generation: number): Promise<void> {
  const payload = Buffer.from(`state ${generation}`.repeat(1 + (generation % 5) * 50));
  await writeCheckpoint(medium.open(), "bulk", "log", "checkpoint", {
    generation,
    position: generation * 10,
    payloadVersion: 1,
    payload,
  });
}

async function generation(medium: SimulatedDisk): Promise<number | undefined> {
  return (await readCheckpoint(medium.open(), "log", "checkpoint"))?.generation;
}

async function withTwo(seed: string): Promise<SimulatedDisk> {
  const medium = memoryDisk(seededRandom(seed));
  await medium.open().run("bulk", [{ kind: "make-dir", path: "log" }]);
  await write(medium, 1);
  await write(medium, 2);
  return medium;
}

test("readCheckpoint: none -> undefined; two -> the newer", async () => {
  assert.equal(await generation(memoryDisk(seededRandom("none"))), undefined);
  const medium = await withTwo("two");
  assert.equal(await generation(medium), 2);
  await write(medium, 3);
  const newest = await readCheckpoint(medium.open(), "log", "checkpoint");
  assert.equal(newest?.position, 30);
  assert.match(Buffer.from(newest.payload).toString(), /^state 3/);
});

test("writeCheckpoint: power cut after any of its operations -> the old or the new one is read", async () => {
  const seen = new Set<number | undefined>();
  for (let seed = 0; seed < 150; seed++) {
    const medium = await withTwo(`cut/${seed}`);
    let left = seed % 6;
    const disk = medium.open();
    const cut = {
      ...disk,
      run: (lane: "log" | "bulk", ops: Parameters<typeof disk.run>[1]) => disk.run(lane, ops.slice(0, left)),
    };
    const payload = Buffer.from("new".repeat(100));
    await writeCheckpoint(cut, "bulk", "log", "checkpoint", {
      generation: 3,
      position: 9,
      payloadVersion: 1,
      payload,
    });
    medium.crash();
    const read = await generation(medium);
    assert.ok(read === 3 || read === 2, `${read}`);
    seen.add(read);
    left = 0;
  }
  assert.deepEqual(
    [...seen].sort((a, b) => a! - b!),
    [2, 3],
  );
});

test("readCheckpoint: one rotten -> the other generation; both -> CORRUPT, naming the files", async () => {
  const medium = await withTwo("rot");
  medium.file("log/checkpoint.0")!.rot(45, 1);
  assert.equal(await generation(medium), 1);
  medium.file("log/checkpoint.1")!.rot(3, 1);
  await assert.rejects(generation(medium), (error: unknown) => {
    assert.ok(error instanceof WireError && error.code === "CORRUPT");
    return /log\/checkpoint\.0 and log\/checkpoint\.1, offset 0/.test(error.message);
  });
});
