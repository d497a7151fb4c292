// Bits that turn in spool files: what readers are given is what was written, or they are told (C1 to C4).
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { never, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { filesOf } from "@millrace/wal/testkit";
import { SpoolFixture } from "./spool-fixture.ts";
import type { Spool } from "./spools.ts";
import { SUM_BLOCK_BYTES } from "./spool-sums.ts";

const FRAGMENT_BYTES = 3 * SUM_BLOCK_BYTES + 5000;

/** Bytes that show where they belong. */
const CONTENT = Uint8Array.from({ length: 400_000 }, (_, i) => (i * 2_654_435_761) >>> 24);

/** Appends CONTENT of [from, to), in pieces some of which are written directly. */
async function fill(fixture: SpoolFixture, spool: Spool, from: number, to: number): Promise<void> {
  for (let at = from, n = 0; at < to; n++) {
    const end = Math.min(to, at + (n % 7 === 6 ? 20_000 : 2500));
    assert.equal((await fixture.append(spool, CONTENT.subarray(at, end))).kind, "acknowledged");
    at = end;
  }
}

async function roll(fixture: SpoolFixture, spool: Spool): Promise<void> {
  spool.roll(spool.pendingEnd);
  await fixture.append(spool, "");
}

/** One closed fragment, in the file that is returned. */
async function closedFragment(fixture: SpoolFixture): Promise<{ spool: Spool; path: string }> {
  const spool = await fixture.reopen("a");
  await fill(fixture, spool, 0, FRAGMENT_BYTES);
  await roll(fixture, spool);
  await pushOut(fixture);
  return { spool, path: fileOf(fixture) };
}

/** Takes all memory for another journal. */
async function pushOut(fixture: SpoolFixture): Promise<void> {
  const other = await fixture.claim("other");
  for (let i = 0; i < 20; i++) await fixture.append(other, Buffer.alloc(2000, i));
}

function fileOf(fixture: SpoolFixture): string {
  return filesOf(fixture.disk).find(({ path }) => path.startsWith("spools/a~"))!.path;
}

function read(fixture: SpoolFixture, spool: Spool, offset: number, bytes: number): Promise<Uint8Array> {
  return fixture.drive(spool.read(offset, bytes, never));
}

/** Everything of [begin, end), checked. */
async function readAll(fixture: SpoolFixture, spool: Spool, begin: number, end: number, bytes: number) {
  for (let at = begin; at < end;) {
    const part = await read(fixture, spool, at, Math.min(bytes, end - at));
    assert.ok(part.length > 0 && at + part.length <= end);
    assert.deepEqual(Buffer.from(part), Buffer.from(CONTENT.subarray(at, at + part.length)));
    at += part.length;
  }
}

const rottenAt = (path: string, offset: number) => (error: unknown) => {
  assert.ok(error instanceof WireError);
  assert.deepEqual([error.code, error.facts["path"], error.facts["offset"]], ["CORRUPT", path, offset]);
  assert.ok(error.message.startsWith(`${path}, offset ${offset}: `));
  return true;
};

const rottenReads = ({ metrics }: SpoolFixture): number =>
  metrics.counter("millrace_spool_rotten_reads_total", "").value();

suite("bit rot while the process runs", () => {
  test("a bit turns in a closed fragment -> its block is refused, every other one is read", async () => {
    const fixture = new SpoolFixture("rot/closed");
    const { spool, path } = await closedFragment(fixture);
    await readAll(fixture, spool, 0, FRAGMENT_BYTES, 1 << 20);
    const at = SUM_BLOCK_BYTES + 77;
    fixture.disk.file(path)!.rot(at, 4);
    await readAll(fixture, spool, 0, SUM_BLOCK_BYTES, 1 << 20);
    await readAll(fixture, spool, 2 * SUM_BLOCK_BYTES, FRAGMENT_BYTES, 1000);
    for (const offset of [SUM_BLOCK_BYTES, at, 2 * SUM_BLOCK_BYTES - 1])
      await assert.rejects(read(fixture, spool, offset, 1), rottenAt(path, SUM_BLOCK_BYTES));
    await assert.rejects(read(fixture, spool, 5, 1 << 20), rottenAt(path, SUM_BLOCK_BYTES));
    assert.equal(rottenReads(fixture), 4);
    // Once for whoever has to act, not for every reader.
    assert.deepEqual(
      fixture.errors.map(([event, fields]) => [event, fields?.["path"], fields?.["journal"]]),
      [["spool-rotten", path, "a"]],
    );
    fixture.disk.file(path)!.rot(at, 4);
    await readAll(fixture, spool, 0, FRAGMENT_BYTES, 70_000);
  });

  test("a bit turns in any byte of a fragment that still grows -> refused, or read from memory", async () => {
    const fixture = new SpoolFixture("rot/open");
    const spool = await fixture.reopen("a");
    await fill(fixture, spool, 0, 100_000);
    const path = fileOf(fixture);
    let refused = 0;
    for (let at = 11; at < 100_000; at += 4999) {
      fixture.disk.file(path)!.rot(at, 128);
      const block = at - (at % SUM_BLOCK_BYTES);
      const outcome = await read(fixture, spool, at, 10).catch((error: unknown) => error);
      if (outcome instanceof Error) {
        rottenAt(path, block)(outcome);
        refused++;
      } else assert.deepEqual(Buffer.from(outcome as Uint8Array)[0], CONTENT[at]);
      fixture.disk.file(path)!.rot(at, 128);
    }
    assert.ok(refused > 10 && refused < 21, String(refused));
    await readAll(fixture, spool, 0, 100_000, 3000);
  });

  test("reads of any size, while bytes are appended and memory lets go of them -> what was written", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const fixture = new SpoolFixture(`rot/edge/${seed}`, { tailBytesMax: 2048 * (1 + seed) });
      const random = seededRandom(`rot/edge/${seed}`);
      // Files lag behind memory: what is summed may not be in them yet.
      fixture.delayMs = (op) =>
        op?.kind === "write" && op.path.startsWith("spools") ? random.below(20) : undefined;
      const spool = await fixture.reopen("a");
      for (let at = 0; at < 150_000;) {
        const end = at + 1 + random.below(random.below(5) === 0 ? 9000 : 900);
        await fixture.append(spool, CONTENT.subarray(at, end));
        at = end;
        if (random.below(40) === 0) await roll(fixture, spool);
        const from = Math.max(0, at - random.below(random.below(2) === 0 ? 4000 : at));
        const part = await read(fixture, spool, from, 1 + random.below(20_000));
        assert.deepEqual(Buffer.from(part), Buffer.from(CONTENT.subarray(from, from + part.length)));
      }
      assert.equal(rottenReads(fixture), 0);
    }
  });

  test("the file is gone, or shorter -> refused, naming it, and not as if the bytes were elsewhere", async () => {
    const fixture = new SpoolFixture("rot/gone");
    const { spool, path } = await closedFragment(fixture);
    fixture.disk.file(path)!.truncate(SUM_BLOCK_BYTES + 10);
    await readAll(fixture, spool, 0, SUM_BLOCK_BYTES, 1 << 20);
    await assert.rejects(read(fixture, spool, SUM_BLOCK_BYTES, 1), rottenAt(path, SUM_BLOCK_BYTES + 10));
    fixture.disk.perform({ kind: "remove", path }, "bulk");
    await assert.rejects(read(fixture, spool, 0, 1), rottenAt(path, 0));
  });

  test("the fragment is released under a read -> told that it is no longer here", async () => {
    const fixture = new SpoolFixture("rot/released");
    const { spool } = await closedFragment(fixture);
    fixture.delayMs = (op) => (op === undefined ? 500 : undefined);
    const reading = spool.read(0, 10, never);
    spool.release({ begin: 0, end: FRAGMENT_BYTES });
    await assert.rejects(fixture.drive(reading), (error: WireError) => error.code === "NOT_FOUND");
    assert.equal(rottenReads(fixture), 0);
  });
});

suite("bit rot found after a restart", () => {
  /** A restart after which the closed fragment has a sum and was not read. */
  async function restarted(seed: string): Promise<{ fixture: SpoolFixture; path: string }> {
    const fixture = new SpoolFixture(seed);
    const { path } = await closedFragment(fixture);
    await fixture.close();
    return { fixture, path };
  }

  test("a fragment that recovery did not read -> read once for all of its readers, then by block", async () => {
    const { fixture, path } = await restarted("restart/once");
    const spool = await fixture.reopen("a");
    let reads = 0;
    fixture.delayMs = (op) => {
      if (op === undefined) reads++;
      return undefined;
    };
    const offsets = [0, 1, SUM_BLOCK_BYTES, 150_000, FRAGMENT_BYTES - 1];
    const parts = await fixture.drive(Promise.all(offsets.map((offset) => spool.read(offset, 1, never))));
    assert.deepEqual(
      parts.map((part) => part[0]),
      offsets.map((offset) => CONTENT[offset]),
    );
    assert.equal(reads, 1 + offsets.length);
    fixture.disk.file(path)!.rot(2 * SUM_BLOCK_BYTES, 1);
    await readAll(fixture, spool, 0, 2 * SUM_BLOCK_BYTES, 1 << 20);
    await assert.rejects(read(fixture, spool, 150_000, 1), rottenAt(path, 2 * SUM_BLOCK_BYTES));
  });

  test("it rotted meanwhile -> no byte of it is given out, and the disk is not kept busy with it", async () => {
    const { fixture, path } = await restarted("restart/rotten");
    fixture.disk.file(path)!.rot(FRAGMENT_BYTES - 1, 1);
    const spool = await fixture.reopen("a");
    let reads = 0;
    fixture.delayMs = (op) => {
      if (op === undefined) reads++;
      return undefined;
    };
    for (const offset of [0, 100_000, FRAGMENT_BYTES - 1])
      await assert.rejects(read(fixture, spool, offset, 10), rottenAt(path, 0));
    assert.deepEqual([reads, rottenReads(fixture), fixture.errors.length], [1, 3, 1]);
    fixture.disk.file(path)!.rot(FRAGMENT_BYTES - 1, 1);
    await assert.rejects(read(fixture, spool, 0, 10), rottenAt(path, 0));
    await fixture.agenda.advance(60_000);
    await readAll(fixture, spool, 0, FRAGMENT_BYTES, 100_000);
  });

  test("a reader goes away during the check -> told at once; the others get their bytes", async () => {
    const { fixture } = await restarted("restart/aborted");
    const spool = await fixture.reopen("a");
    const gone = new AbortController();
    const [first, second] = [spool.read(0, 1, gone.signal), spool.read(1, 1, never)];
    gone.abort(new Error("gone"));
    await assert.rejects(first, /gone/);
    assert.equal((await fixture.drive(second))[0], CONTENT[1]);
  });

  test("local storage closes, or the fragment is released, during the check -> readers are told", async () => {
    for (const how of ["close", "release", "remove"] as const) {
      const { fixture } = await restarted(`restart/${how}`);
      const spool = await fixture.reopen("a");
      fixture.delayMs = (op) => (op === undefined ? 500 : undefined);
      const reading = spool.read(0, 1, never);
      reading.catch(() => undefined);
      if (how === "close") await fixture.close();
      else if (how === "release") spool.release({ begin: 0, end: FRAGMENT_BYTES });
      else spool.remove();
      const code = await fixture.drive(reading).then(
        () => "read",
        (error: WireError) => error.code,
      );
      // The one piece of the check was under way when storage closed: then the read comes through.
      assert.ok(
        how === "close" ? ["read", "SHUTTING_DOWN"].includes(code) : code === "NOT_FOUND",
        `${how}: ${code}`,
      );
      assert.equal(rottenReads(fixture), 0);
    }
  });

  test("a fragment closed since the checkpoint, its sum not logged -> held against the checkpoint's", async () => {
    const fixture = new SpoolFixture("restart/unsummed");
    const spool = await fixture.reopen("a");
    await fill(fixture, spool, 0, 5000);
    await fixture.close();
    const again = await fixture.reopen("a");
    await fill(fixture, again, 5000, 6000);
    await roll(fixture, again);
    fixture.disk.kill();
    const path = fileOf(fixture);
    fixture.disk.file(path)!.rot(17, 1);
    await fixture.open();
    await assert.rejects(fixture.claim("a"), rottenAt(path, 0));
    fixture.disk.file(path)!.rot(17, 1);
    await readAll(fixture, await fixture.claim("a"), 0, 6000, 1000);
  });

  test("bytes of a journal that nobody claims, when the log lets go of them -> held against what it had", async () => {
    for (const ending of ["kill", "close"] as const) {
      const fixture = new SpoolFixture(`restart/unclaimed/${ending}`);
      const spool = await fixture.reopen("a");
      await fill(fixture, spool, 0, 5000);
      await fixture.close();
      await fill(fixture, await fixture.reopen("a"), 5000, 6000);
      fixture.disk.kill();
      // A life that has the rest of it from the log, and makes checkpoints.
      await fixture.open();
      if (ending === "close") await fixture.close();
      else {
        await pushOut(fixture);
        const made = fixture.metrics.counter("millrace_spool_checkpoints_total", "");
        const before = made.value({ outcome: "made" });
        for (let i = 0; made.value({ outcome: "made" }) === before; i++) await pushOut(fixture);
        fixture.disk.kill();
      }
      const path = fileOf(fixture);
      fixture.disk.file(path)!.rot(5500, 1);
      await fixture.open();
      await assert.rejects(fixture.claim("a"), rottenAt(path, 0));
      fixture.disk.file(path)!.rot(5500, 1);
      await readAll(fixture, await fixture.claim("a"), 0, 6000, 1000);
    }
  });
});
