// Syncs behind the log: what they may end, and what is left to the checkpoint.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { silentLogger } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import { DiskError, type Disk, type DiskErrorKind, type DiskOp } from "@millrace/wal";
import type { DurableSpool, IssuedWrite } from "./durable-spool.ts";
import { SpoolFragment } from "./spool-fragment.ts";
import { SpoolWriter } from "./spool-writer.ts";

const PATH = "spools/a/0.raw";

/** Writes `sizes` bytes, one write after the other, over a disk whose syncs fail so. */
async function writeBehind(sizes: readonly number[], failure?: DiskErrorKind) {
  const synced: string[] = [];
  const broken: unknown[] = [];
  const run = (_lane: string, ops: readonly DiskOp[]): Promise<void> => {
    for (const op of ops) if (op.kind === "sync") synced.push(op.path);
    const fails = failure !== undefined && ops.some(({ kind }) => kind === "sync");
    return fails ? Promise.reject(new DiskError(failure, PATH, "sync: it fails")) : Promise.resolve();
  };
  const fragment = new SpoolFragment(0, () => []);
  let at = 0;
  const spool = {
    isWritten: true,
    collectWrites: (ops: DiskOp[], writes: IssuedWrite[]) => {
      const bytes = new Uint8Array(sizes[at++]!);
      const block = { begin: 0, written: 0, issued: 0, end: bytes.length } as unknown as IssuedWrite["block"];
      ops.push({ kind: "write", path: PATH, position: 0, bytes });
      writes.push({ block, fragment, path: PATH, begin: 0, end: bytes.length });
    },
  } as unknown as DurableSpool;
  const writer = new SpoolWriter(
    { disk: { run } as unknown as Disk, clock: new SimulatedClock(new Agenda()), logger: silentLogger },
    { retryMs: 10, syncBehindBytes: 100 },
    { onWritten: () => undefined, onFull: () => undefined, onBroken: (error) => broken.push(error) },
  );
  for (const _ of sizes) {
    writer.write([spool]);
    await settle();
  }
  return { synced, broken };
}

/** Lets a spool be written soon after so many bytes went to the log. @returns writes at once, and in the end */
async function soon(bytes: number): Promise<readonly [number, number]> {
  let writes = 0;
  const run = (): Promise<void> => Promise.resolve(void writes++);
  const agenda = new Agenda();
  const spool = {
    isWritten: true,
    collectWrites: (ops: DiskOp[]) => void ops.push({ kind: "sync", path: PATH }),
  } as unknown as DurableSpool;
  const writer = new SpoolWriter(
    { disk: { run } as unknown as Disk, clock: new SimulatedClock(agenda), logger: silentLogger },
    { retryMs: 10, syncBehindBytes: 100 },
    { onWritten: () => undefined, onFull: () => undefined, onBroken: () => undefined },
  );
  for (let i = 0; i < 4; i++) {
    writer.expect(bytes / 4);
    writer.writeBehind([spool]);
  }
  const atOnce = writes;
  await agenda.advance(1000);
  return [atOnce, writes];
}

describe("a spool file behind the log", () => {
  test("is written later, once for many groups; at once when much waits", async () => {
    assert.deepEqual(await soon(1000), [0, 1]);
    assert.deepEqual(await soon(2 * 1024 * 1024), [1, 1]);
  });

  test("is synced when so many of its bytes are unsynced, and counts anew", async () => {
    assert.deepEqual((await writeBehind([60])).synced, []);
    assert.deepEqual((await writeBehind([60, 60])).synced, [PATH]);
    assert.deepEqual((await writeBehind([100, 60, 30])).synced, [PATH]);
  });

  test("whose sync fails -> the process ends (D5)", async () => {
    const { broken } = await writeBehind([100], "sync-failed");
    assert.equal((broken[0] as DiskError).kind, "sync-failed");
  });

  for (const kind of ["io", "missing", "full"] as const) {
    test(`that cannot be opened (${kind}) -> is left to the checkpoint`, async () => {
      const { synced, broken } = await writeBehind([100], kind);
      assert.deepEqual([synced.length, broken.length], [1, 0]);
    });
  }
});
