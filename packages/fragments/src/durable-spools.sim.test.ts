// The rules of durability.md that local storage keeps, each with the events that would break it.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { never, WireError } from "@millrace/base";
import { EMPTY_LABELS, labelSet } from "@millrace/protocol";
import { filesOf } from "@millrace/wal/testkit";
import { contents, SpoolFixture } from "./spool-fixture.ts";
import { spoolDir } from "./spool-paths.ts";
import type { Spool } from "./spools.ts";

const corruptAt = (path: RegExp) => (error: unknown) =>
  error instanceof WireError && error.code === "CORRUPT" && path.test(String(error.facts["path"]));

/** A journal whose fragments are all released. */
async function released(fixture: SpoolFixture, journal: string): Promise<Spool> {
  const spool = await fixture.claim(journal);
  await fixture.append(spool, "persisted", labelSet(["author", "one"]));
  spool.roll(spool.pendingEnd);
  await fixture.append(spool, "");
  spool.release({ begin: spool.end - 9, end: spool.end });
  await fixture.agenda.advance(50);
  return spool;
}

suite("D1: the log is the local authority", () => {
  test("everything persisted and released, two clean restarts -> head and registers are remembered", async () => {
    const fixture = new SpoolFixture("D1/clean");
    await fixture.open();
    await released(fixture, "a");
    for (let restart = 0; restart < 3; restart++) {
      await fixture.close();
      if (restart % 2 === 0) fixture.disk.crash();
      const spool = await fixture.reopen("a");
      assert.deepEqual([spool.begin, spool.end, spool.fragments()], [9, 9, []]);
      assert.deepEqual(spool.registers, labelSet(["author", "one"]));
    }
    const { begin } = (await fixture.append(await fixture.claim("a"), "more")) as { begin: number };
    assert.equal(begin, 9);
    assert.deepEqual(contents(fixture.disk, "quarantine"), new Map());
  });

  test("a journal that begins with nothing, at 0, and a power cut -> is found again", async () => {
    const fixture = new SpoolFixture("D1/empty");
    await fixture.open();
    const spool = await fixture.claim("a");
    spool.roll(0, EMPTY_LABELS);
    await fixture.append(spool, "");
    fixture.disk.crash();
    await fixture.open();
    assert.deepEqual(
      fixture.spools.unclaimed().map(({ journal, end }) => [journal, end]),
      [["a", 0]],
    );
  });

  test("the same, with the power cut at any moment and the log recycled behind it -> remembered", async () => {
    for (let seed = 0; seed < 25; seed++) {
      const fixture = new SpoolFixture(`D1/cut/${seed}`);
      await fixture.open();
      await released(fixture, "a");
      const busy = await fixture.claim("busy");
      for (let i = 0; i < 40 + seed; i++) await fixture.append(busy, Buffer.alloc(2000, i));
      fixture.disk.crash();
      const spool = await fixture.reopen("a");
      assert.deepEqual([spool.end, spool.fragments()], [9, []]);
      assert.deepEqual(spool.registers, labelSet(["author", "one"]));
    }
  });

  test("deleted and created again -> inherits nothing, whenever the power is cut", async () => {
    for (let seed = 0; seed < 30; seed++) {
      const fixture = new SpoolFixture(`D1/again/${seed}`);
      const old = await fixture.reopen("a", { createRevision: 3 });
      await fixture.append(old, "of the first life", labelSet(["author", "old"]));
      old.remove();
      await fixture.agenda.advance((seed % 10) / 10);
      if (seed % 3 === 0) {
        fixture.disk.crash();
        await fixture.open();
      }
      const next = await fixture.claim("a", { createRevision: 8 });
      assert.deepEqual([next.end, next.registers, next.fragments()], [0, EMPTY_LABELS, []]);
      await fixture.append(next, "second");
      fixture.disk.crash();
      const again = await fixture.reopen("a", { createRevision: 8 });
      assert.equal(await fixture.text(again), "second");
      assert.deepEqual(fixture.spools.unclaimed(), []);
    }
  });

  test("another life is found without a deletion -> its bytes go to quarantine, whole", async () => {
    const fixture = new SpoolFixture("D1/other");
    await fixture.append(await fixture.reopen("a", { createRevision: 3 }), "of the first life");
    await fixture.close();
    const next = await fixture.reopen("a", { createRevision: 4 });
    assert.equal(next.end, 0);
    await fixture.agenda.advance(100);
    const kept = contents(fixture.disk, "quarantine/");
    assert.deepEqual([...kept.values()], ["of the first life"]);
    assert.deepEqual(contents(fixture.disk, spoolDir("a", 3)), new Map());
    fixture.disk.crash();
    await fixture.open();
    assert.deepEqual(
      fixture.spools.unclaimed().map(({ createRevision }) => createRevision),
      [],
    );
  });
});

suite("D3: direct appends", () => {
  const LARGE = Buffer.alloc(9000, "D");

  test("bytes and a new directory entry are synced before the record is written", async () => {
    const fixture = new SpoolFixture("D3/order");
    const spool = await fixture.reopen("a");
    fixture.ops = [];
    await fixture.append(spool, LARGE);
    const at = (pattern: RegExp): number => fixture.ops.findIndex((line) => pattern.test(line));
    const order = [
      /write .*raw 8192/,
      /bulk sync spools.*raw/,
      /sync-dir spools/,
      /log write log/,
      /log sync log/,
    ].map(at);
    assert.ok(
      order.every((place) => place >= 0),
      order.join(),
    );
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
  });

  test("the spool's directory was made, its parent not synced -> claimed again, all survives", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const fixture = new SpoolFixture(`D3/directory/${seed}`);
      await fixture.open();
      fixture.disk.failMakeDir((path) => path.startsWith("spools/"));
      await assert.rejects(fixture.claim("a"), { code: "UNAVAILABLE" });
      const spool = await fixture.claim("a");
      assert.equal((await fixture.append(spool, LARGE)).kind, "acknowledged");
      fixture.disk.crash();
      assert.equal((await fixture.reopen("a")).end, LARGE.length);
    }
  });

  test("power cut at any moment -> the append is there as a whole, or not at all", async () => {
    const seen = new Set<number>();
    for (let seed = 0; seed < 80; seed++) {
      const fixture = new SpoolFixture(`D3/cut/${seed}`);
      const spool = await fixture.reopen("a");
      await fixture.append(spool, "before");
      const append = spool.openAppend();
      let acknowledged = false;
      const whole = async (): Promise<void> => {
        await append.write(LARGE, never);
        append.commit(undefined, () => (acknowledged = true));
      };
      whole().catch(() => undefined);
      for (let events = 0; events < seed % 40; events++) await fixture.agenda.step(fixture.agenda.nowMs + 1);
      fixture.disk.crash();
      const again = await fixture.reopen("a");
      assert.ok(again.end === 6 || again.end === 9006);
      assert.ok(!acknowledged || again.end === 9006);
      seen.add(again.end);
      assert.equal(await fixture.text(again), again.end === 6 ? "before" : `before${LARGE.toString()}`);
    }
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      [6, 9006],
    );
  });

  test("a byte of it rots before the next checkpoint -> refused, the spool file named, nothing changed", async () => {
    const fixture = new SpoolFixture("D3/rot");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, LARGE);
    fixture.disk.kill();
    const [path] = [...contents(fixture.disk, "spools").keys()];
    fixture.disk.file(path!)!.rot(4321, 8);
    const before = contents(fixture.disk);
    await assert.rejects(fixture.open(), corruptAt(/^spools\/.*\.raw$/));
    assert.deepEqual(contents(fixture.disk), before);
  });
});

suite("D4: a spool counts only up to checkpoint plus log", () => {
  test("bytes of an aborted client -> quarantined, cut off, and kept over further restarts", async () => {
    const fixture = new SpoolFixture("D4/half");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "acknowledged");
    await fixture.drive(Promise.resolve(spool.openAppend().write(Buffer.alloc(5000, "h"), never)));
    await fixture.agenda.advance(20);
    for (let restart = 0; restart < 3; restart++) {
      fixture.disk.kill();
      assert.equal(await fixture.text(await fixture.reopen("a")), "acknowledged");
      const kept = [...contents(fixture.disk, "quarantine/").values()];
      assert.equal(kept.length, 1);
      assert.match(kept[0]!, /^h{4096}/);
      assert.deepEqual([...contents(fixture.disk, "spools/").values()], ["acknowledged"]);
    }
  });

  test("no room for what is to be quarantined -> each start is refused and leaves no part of it", async () => {
    const fixture = new SpoolFixture("D4/no room");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "acknowledged");
    await fixture.drive(Promise.resolve(spool.openAppend().write(Buffer.alloc(5000, "h"), never)));
    await fixture.agenda.advance(20);
    for (let start = 0; start < 3; start++) {
      fixture.disk.kill();
      fixture.disk.failWrite((path) => path.startsWith("quarantine/"));
      await assert.rejects(fixture.open(), { code: "DISK_FULL" });
      assert.deepEqual(contents(fixture.disk, "quarantine/"), new Map());
    }
    assert.equal(await fixture.text(await fixture.reopen("a")), "acknowledged");
    assert.equal(contents(fixture.disk, "quarantine/").size, 1);
  });

  test("unknown files and directories -> quarantined under their names, never over another one", async () => {
    const fixture = new SpoolFixture("D4/unknown");
    await fixture.append(await fixture.reopen("a"), "mine");
    await fixture.close();
    const dir = spoolDir("a", 1);
    for (const round of ["first", "second"]) {
      const disk = fixture.disk.open();
      const strange = [
        `${dir}/0000000000000077.raw`,
        `${dir}/notes.txt`,
        "spools/file",
        "spools/other@2/x.raw",
      ];
      await fixture.drive(disk.run("bulk", [{ kind: "make-dir", path: "spools/other@2" }]));
      for (const path of strange) {
        await fixture.drive(
          disk.run("bulk", [{ kind: "write", path, position: 0, bytes: Buffer.from(round) }]),
        );
      }
      assert.equal(await fixture.text(await fixture.reopen("a")), "mine");
      await fixture.close();
    }
    const kept = [...contents(fixture.disk, "quarantine/")].map(
      ([path, text]) => `${path.split("/").slice(1).join("/")} ${text}`,
    );
    const name = dir.slice("spools/".length);
    assert.deepEqual(
      kept.sort(),
      [
        `${name}/0000000000000077.raw first`,
        `${name}/0000000000000077.raw.1 second`,
        `${name}/notes.txt first`,
        `${name}/notes.txt.1 second`,
        "file first",
        "file.1 second",
        "other@2/x.raw first",
        "other@2.1/x.raw second",
      ].sort(),
    );
  });

  test("a spool file is shorter than what was synced, or missing -> refused, file and offset named", async () => {
    for (const bytes of [0, 5]) {
      const fixture = new SpoolFixture(`D4/short/${bytes}`);
      await fixture.append(await fixture.reopen("a"), "acknowledged");
      await fixture.close();
      const path = `${spoolDir("a", 1)}/0000000000000000.raw`;
      const disk = fixture.disk.open();
      await fixture.drive(
        disk.run("bulk", [bytes > 0 ? { kind: "truncate", path, bytes } : { kind: "remove", path }]),
      );
      await assert.rejects(fixture.open(), (error: unknown) => {
        return corruptAt(/0000\.raw$/)(error) && (error as WireError).facts["offset"] === bytes;
      });
    }
  });

  test("a byte that the checkpoint has the sum of rots -> that journal cannot be claimed, others can", async () => {
    const fixture = new SpoolFixture("D4/sum");
    await fixture.append(await fixture.reopen("a"), "acknowledged");
    await fixture.append(await fixture.claim("b"), "fine");
    await fixture.close();
    fixture.disk.kill();
    const path = `${spoolDir("a", 1)}/0000000000000000.raw`;
    fixture.disk.file(path)!.rot(3, 1);
    await fixture.open();
    await assert.rejects(fixture.claim("a"), corruptAt(/0000\.raw$/));
    assert.equal(await fixture.text(await fixture.claim("b")), "fine");
  });
});

suite("D6: a segment is recycled only after its spools and the checkpoint", () => {
  test("power cut at any place of a run with many checkpoints -> nothing acknowledged is lost", async () => {
    const origin = new SpoolFixture("D6/whole");
    const run = async (fixture: SpoolFixture, stopAt: number): Promise<Map<string, string>> => {
      const acknowledged = new Map<string, string>();
      await fixture.open();
      const spools = [await fixture.claim("a"), await fixture.claim("b")];
      let running = true;
      const loop = async (spool: Spool): Promise<void> => {
        for (let i = 0; running && i < 110; i++) {
          const text = `${spool.life.journal}${i};`.repeat(200);
          await new Promise<void>((resolve) => {
            const append = spool.openAppend();
            void append.write(Buffer.from(text), never);
            append.commit(undefined, () => resolve());
          });
          acknowledged.set(spool.life.journal, (acknowledged.get(spool.life.journal) ?? "") + text);
        }
      };
      const loops = Promise.all(spools.map(loop));
      loops.catch(() => undefined);
      await fixture.agenda.runUntil(() => fixture.ops.length >= stopAt, fixture.agenda.nowMs + 5000);
      running = false;
      fixture.disk.crash();
      return acknowledged;
    };
    await run(origin, Number.POSITIVE_INFINITY);
    const checkpoints = origin.ops.filter((line) => /rename log\/checkpoint/.test(line)).length;
    assert.ok(checkpoints >= 3, `${checkpoints}`);
    const total = origin.ops.length;
    for (let stopAt = 20; stopAt < total; stopAt += 17) {
      const fixture = new SpoolFixture(`D6/${stopAt}`);
      const acknowledged = await run(fixture, stopAt);
      await fixture.open();
      for (const [journal, expected] of acknowledged) {
        const text = await fixture.text(await fixture.claim(journal));
        assert.ok(text.startsWith(expected), `stopped at ${stopAt}`);
      }
    }
  });

  test("a checkpoint rots -> refused by its name, or not needed", async () => {
    const outcomes: string[] = [];
    for (const path of ["log/checkpoint.0", "log/checkpoint.1"]) {
      const fixture = new SpoolFixture("D6/rot");
      const spool = await fixture.reopen("a");
      for (let i = 0; i < 100; i++) await fixture.append(spool, Buffer.alloc(2000, i));
      fixture.disk.kill();
      fixture.disk.file(path)!.rot(50, 1);
      const opening = fixture.open().then(() => "not needed");
      outcomes.push(await opening.catch((error: unknown) => String((error as WireError).facts["path"])));
      assert.ok(["not needed", path].includes(outcomes.at(-1)!), outcomes.join());
    }
    assert.ok(outcomes.includes("not needed") && new Set(outcomes).size === 2, outcomes.join());
  });

  test("a journal that was busy long ago -> the log of others is recycled, its bytes stay", async () => {
    const fixture = new SpoolFixture("D6/others");
    const quiet = await fixture.reopen("quiet");
    await fixture.append(quiet, "long ago", labelSet(["a", "b"]));
    const busy = await fixture.claim("busy");
    for (let i = 0; i < 200; i++) await fixture.append(busy, Buffer.alloc(2500, i));
    assert.ok(filesOf(fixture.disk).filter(({ path }) => path.startsWith("log/")).length < 12);
    fixture.disk.crash();
    assert.equal(await fixture.text(await fixture.reopen("quiet")), "long ago");
  });
});

suite("D9: only the acknowledged exists", () => {
  test("while the sync takes long -> no end, no registers, no fragment, no read; only what is pending", async () => {
    const fixture = new SpoolFixture("D9");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "old");
    await fixture.agenda.advance(500);
    fixture.delayMs = (op) => (op?.kind === "sync" ? 50 : undefined);
    let changes = 0;
    spool.onChange(() => changes++);
    const started = fixture.start(spool, " new", labelSet(["x", "y"]));
    await fixture.agenda.advance(40);
    assert.equal(started.outcome, undefined);
    assert.deepEqual([spool.end, spool.pendingEnd, changes], [3, 7, 0]);
    assert.deepEqual([spool.registers, spool.pendingRegisters], [EMPTY_LABELS, labelSet(["x", "y"])]);
    assert.deepEqual(
      spool.fragments().map(({ end }) => end),
      [3],
    );
    assert.equal(await fixture.text(spool), "old");
    await assert.rejects(fixture.drive(spool.read(3, 1, never)), WireError);
    await fixture.agenda.advance(100);
    assert.deepEqual([spool.end, changes], [7, 1]);
    assert.equal(await fixture.text(spool), "old new");
  });
});

suite("D17: registers", () => {
  test("with bytes, alone, and with a roll -> survive power cuts, clean restarts and a recycled log", async () => {
    const fixture = new SpoolFixture("D17");
    const sets = [
      labelSet(["author", "1"], ["empty", ""]),
      labelSet(["author", "2"]),
      labelSet(["é", "ü"]),
      EMPTY_LABELS,
    ];
    let spool = await fixture.reopen("a");
    for (const [i, registers] of sets.entries()) {
      if (i === 2) spool.roll(spool.pendingEnd + 10, registers);
      await fixture.append(spool, i % 2 === 0 ? "bytes" : "", i === 2 ? undefined : registers);
      assert.deepEqual(spool.registers, registers);
      fixture.disk.crash();
      spool = await fixture.reopen("a");
      assert.deepEqual(spool.registers, registers);
      const busy = await fixture.claim("busy");
      for (let n = 0; n < 30; n++) await fixture.append(busy, Buffer.alloc(2500, n));
      await fixture.close();
      spool = await fixture.reopen("a");
      assert.deepEqual(spool.registers, registers);
    }
  });

  test("power cut at any moment of an append with registers -> both, or neither", async () => {
    for (let seed = 0; seed < 40; seed++) {
      const fixture = new SpoolFixture(`D17/both/${seed}`);
      const spool = await fixture.reopen("a");
      fixture.start(spool, "bytes", labelSet(["author", "1"]));
      for (let events = 0; events < seed % 8; events++) await fixture.agenda.step(fixture.agenda.nowMs + 1);
      fixture.disk.crash();
      const again = await fixture.reopen("a");
      assert.deepEqual(again.registers, again.end === 5 ? labelSet(["author", "1"]) : EMPTY_LABELS);
    }
  });

  test("bytes and registers at the end of a full group, power cut behind it -> both, or neither", async () => {
    let neither = 0;
    for (let filler = 2200; filler < 2500; filler += 9) {
      const fixture = new SpoolFixture(`D17/full group/${filler}`);
      await fixture.open();
      const other = await fixture.claim("other");
      const spool = await fixture.claim("a");
      const fillers = [2800, 2800, filler].map((bytes) => fixture.start(other, Buffer.alloc(bytes)));
      fixture.start(spool, "bytes", labelSet(["author", "x".repeat(60)]));
      await fixture.agenda.runUntil(() => fillers.some(({ outcome }) => outcome !== undefined), 1000);
      fixture.disk.crash();
      const again = await fixture.reopen("a");
      assert.equal(again.registers.labels.length, again.end === 5 ? 1 : 0, `filler of ${filler}`);
      if (again.end === 0) neither++;
    }
    assert.ok(neither > 3 && neither < 30, `${neither}`);
  });
});
