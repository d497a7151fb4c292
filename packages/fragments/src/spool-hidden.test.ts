// What is synced here and waits for others (D9), and what is forgotten because they have other bytes (D10, D11).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import { InvariantError, never, WireError } from "@millrace/base";
import { labelSet, type LabelSet } from "@millrace/protocol";
import { contents, SpoolFixture } from "./spool-fixture.ts";
import { QUARANTINE_DIR, SPOOLS_DIR } from "./spool-paths.ts";
import type { Spool } from "./spools.ts";

const sha1 = (bytes: string | Uint8Array): string => createHash("sha1").update(bytes).digest("hex");
const hasCode = (code: string) => (error: unknown) => error instanceof WireError && error.code === code;
const REGISTERS = labelSet(["author", "a"]);
const BIG = Buffer.alloc(5000, "direct ");

const shown = (spool: Spool) => spool.fragments().map(({ begin, end, closed }) => ({ begin, end, closed }));
const ends = (spool: Spool) => [spool.end, spool.syncedEnd, spool.pendingEnd];

suite("hidden until confirmed", () => {
  test("synced and hidden -> answered, but neither read, listed nor summed; confirmed -> all of that", async () => {
    const fixture = new SpoolFixture("hidden");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "shown ");
    spool.hide(spool.syncedEnd);
    await fixture.append(spool, "hidden ");
    await fixture.append(spool, "too");
    assert.deepEqual(ends(spool), [6, 16, 16]);
    assert.deepEqual(shown(spool), [{ begin: 0, end: 6, closed: false }]);
    assert.equal(spool.fragments()[0]!.sum(), sha1("shown "));
    assert.equal(await fixture.text(spool), "shown ");
    await assert.rejects(spool.read(6, 10, never), hasCode("NOT_FOUND"));
    spool.confirm(13);
    assert.equal(await fixture.text(spool), "shown hidden ");
    spool.confirm(10); // what was shown stays shown
    assert.equal(spool.end, 13);
    spool.confirm(Number.POSITIVE_INFINITY);
    await fixture.append(spool, "!");
    assert.equal(await fixture.text(spool), "shown hidden too!");
    assert.equal(spool.fragments()[0]!.sum(), sha1("shown hidden too!"));
  });

  test("a fragment that is closed behind the confirmed end -> shown as one that still grows", async () => {
    const fixture = new SpoolFixture("closed");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "one");
    spool.hide(spool.syncedEnd);
    await fixture.append(spool, "two");
    spool.roll(6);
    await fixture.append(spool, "three");
    assert.deepEqual(shown(spool), [{ begin: 0, end: 3, closed: false }]);
    spool.confirm(6);
    assert.deepEqual(shown(spool), [{ begin: 0, end: 6, closed: true }]);
    assert.equal(spool.fragments()[0]!.sum(), sha1("onetwo"));
  });

  test("listeners hear of what is confirmed", async () => {
    const fixture = new SpoolFixture("listeners");
    const spool = await fixture.reopen("a");
    spool.hide(0);
    await fixture.append(spool, "x");
    const heard: number[] = [];
    spool.onChange(() => heard.push(spool.end));
    spool.confirm(1);
    await fixture.agenda.advance(10);
    assert.deepEqual(heard, [1]);
    await fixture.append(spool, "hidden");
    assert.deepEqual(heard, [1]);
    spool.confirm(7);
    await fixture.append(spool, "hidden again");
    assert.deepEqual(heard, [1, 7]);
    spool.roll(spool.pendingEnd);
    await fixture.append(spool, "in the next one");
    spool.confirm(Number.POSITIVE_INFINITY);
    await fixture.agenda.advance(10);
    assert.equal(heard.at(-1), spool.syncedEnd);
  });

  test("a direct append -> shown as a whole, and one behind it waits until it is", async () => {
    const fixture = new SpoolFixture("direct");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "x");
    spool.hide(spool.syncedEnd);
    await fixture.append(spool, BIG);
    spool.confirm(3000);
    assert.deepEqual(ends(spool), [1, 5001, 5001]);
    const append = spool.openAppend();
    const writing = append.write(BIG, never)!;
    await fixture.agenda.advance(200);
    assert.ok(![...contents(fixture.disk, SPOOLS_DIR).values()].some(({ length }) => length > 5001));
    spool.confirm(5001);
    await fixture.drive(writing);
    await fixture.drive(new Promise((resolve) => append.commit(undefined, resolve)));
    assert.deepEqual(ends(spool), [5001, 10_001, 10_001]);
    spool.confirm(Number.POSITIVE_INFINITY);
    assert.equal(spool.fragments()[0]!.sum(), sha1(Buffer.concat([Buffer.from("x"), BIG, BIG])));
  });

  test("a restart, also from a checkpoint -> what was hidden is there, and may be hidden again", async () => {
    for (const graceful of [false, true]) {
      const fixture = new SpoolFixture(`restart ${graceful}`);
      const spool = await fixture.reopen("a");
      await fixture.append(spool, "shown ");
      spool.hide(spool.syncedEnd);
      await fixture.append(spool, "hidden");
      if (graceful) await fixture.drive(fixture.spools.close());
      fixture.disk.crash();
      const again = await fixture.reopen("a");
      assert.equal(await fixture.text(again), "shown hidden");
      again.hide(0);
      assert.deepEqual(shown(again), []);
      again.confirm(12);
      assert.equal(again.fragments()[0]!.sum(), sha1("shown hidden"));
    }
  });
});

suite("held", () => {
  const heldText = async (fixture: SpoolFixture, spool: Spool, begin = 0): Promise<string> => {
    const parts: Uint8Array[] = [];
    for (let at = begin; at < spool.syncedEnd; at += parts.at(-1)!.length)
      parts.push(await fixture.drive(spool.readHeld(at, 700, never)));
    return Buffer.concat(parts).toString();
  };

  test("hidden bytes are there for other brokers: in memory, in a direct append, after a restart", async () => {
    const fixture = new SpoolFixture("held");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "shown ");
    spool.hide(spool.syncedEnd);
    assert.equal(BIG.length >= spool.directBytesMin, true);
    await fixture.append(spool, BIG);
    spool.roll(spool.pendingEnd);
    await fixture.append(spool, "hidden");
    const all = `shown ${BIG.toString()}hidden`;
    assert.equal(await heldText(fixture, spool), all);
    assert.deepEqual(spool.held(), [{ begin: 0, end: all.length }]);
    assert.equal(spool.end, 6);
    await assert.rejects(spool.readHeld(all.length, 1, never), hasCode("NOT_FOUND"));
    fixture.disk.crash();
    const again = await fixture.reopen("a");
    again.hide(0);
    assert.equal(await heldText(fixture, again), all);
    await fixture.drive(again.cut(100, REGISTERS));
    assert.equal(await heldText(fixture, again), all.slice(0, 100));
  });

  test("what was rolled over or released is not held", async () => {
    const fixture = new SpoolFixture("gaps");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "one");
    spool.roll(3);
    await fixture.append(spool, "two");
    spool.roll(10);
    await fixture.append(spool, "three");
    const gone = [
      { begin: 0, end: 6 },
      { begin: 10, end: 15 },
    ];
    assert.deepEqual(spool.held(), gone);
    spool.release({ begin: 0, end: 3 });
    assert.deepEqual(spool.held(), [{ begin: 3, end: 6 }, gone[1]]);
    await fixture.drive(fixture.spools.close());
    await fixture.open();
    const [found] = fixture.spools.unclaimed();
    assert.deepEqual([found!.base, found!.end], [3, 15]);
  });
});

suite("cut", () => {
  test("within a fragment -> gone, with its registers; in quarantine; the next append is in its place", async () => {
    const fixture = new SpoolFixture("cut");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "shown ");
    spool.hide(spool.syncedEnd);
    await fixture.append(spool, "other bytes");
    await fixture.drive(spool.cut(6, REGISTERS));
    assert.deepEqual(ends(spool), [6, 6, 6]);
    assert.deepEqual(spool.registers, REGISTERS);
    await fixture.append(spool, "these");
    spool.confirm(11);
    assert.equal(await fixture.text(spool), "shown these");
    assert.equal(spool.fragments()[0]!.sum(), sha1("shown these"));
    assert.deepEqual([...contents(fixture.disk, QUARANTINE_DIR).values()], ["other bytes"]);

    fixture.disk.crash();
    const again = await fixture.reopen("a");
    assert.equal(await fixture.text(again), "shown these");
    assert.deepEqual(again.registers, REGISTERS);
  });

  test("back over closed fragments, in one that was closed -> it is open again", async () => {
    const fixture = new SpoolFixture("closed");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "first");
    spool.hide(spool.syncedEnd);
    await fixture.append(spool, "second");
    spool.roll(11);
    await fixture.append(spool, "third");
    spool.roll(20);
    await fixture.append(spool, "fourth");
    await fixture.drive(spool.cut(8, REGISTERS));
    assert.deepEqual([spool.begin, ...ends(spool)], [0, 5, 8, 8]);
    await fixture.append(spool, "!");
    spool.confirm(9);
    assert.deepEqual(shown(spool), [{ begin: 0, end: 9, closed: false }]);
    assert.equal(await fixture.text(spool), "firstsec!");
    fixture.disk.crash();
    assert.equal(await fixture.text(await fixture.reopen("a")), "firstsec!");
  });

  test("at the begin of a fragment -> it is empty, and its file is of the new bytes", async () => {
    const fixture = new SpoolFixture("begin");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "first");
    spool.roll(5);
    spool.hide(5);
    await fixture.append(spool, "a longer second one");
    await fixture.drive(spool.cut(5, REGISTERS));
    await fixture.append(spool, "short");
    spool.confirm(10);
    fixture.disk.crash();
    const again = await fixture.reopen("a");
    assert.equal((await fixture.text(again, 0)) + (await fixture.text(again, 5)), "firstshort");
  });

  test("in the middle of a direct append -> what is left is summed anew", async () => {
    const fixture = new SpoolFixture("direct");
    const spool = await fixture.reopen("a");
    spool.hide(0);
    await fixture.append(spool, BIG);
    await fixture.drive(spool.cut(2000, REGISTERS));
    await fixture.append(spool, "end");
    spool.confirm(Number.POSITIVE_INFINITY);
    const left = Buffer.concat([BIG.subarray(0, 2000), Buffer.from("end")]);
    assert.equal(spool.fragments()[0]!.sum(), sha1(left));
    fixture.disk.crash();
    assert.equal((await fixture.reopen("a")).fragments()[0]!.sum(), sha1(left));
  });

  test("what was shown, or with an append open -> our mistake", async () => {
    const fixture = new SpoolFixture("mistakes");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "shown");
    await assert.rejects(fixture.drive(spool.cut(3, REGISTERS)), InvariantError);
    spool.openAppend();
    await assert.rejects(fixture.drive(spool.cut(5, REGISTERS)), InvariantError);
  });

  test("the disk is full -> refused, nothing is forgotten", async () => {
    const fixture = new SpoolFixture("full");
    const spool = await fixture.reopen("a");
    spool.hide(0);
    await fixture.append(spool, "x".repeat(2000));
    fixture.disk.capacityBytes = fixture.disk.usedBytes;
    await assert.rejects(fixture.drive(spool.cut(1000, REGISTERS)), hasCode("DISK_FULL"));
    fixture.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    await fixture.agenda.advance(1000);
    spool.confirm(2000);
    assert.equal(await fixture.text(spool), "x".repeat(2000));
  });
});

suite("registers behind what is hidden", () => {
  const by = (name: string): LabelSet => labelSet(["by", name]);

  async function hidden(fixture: SpoolFixture): Promise<Spool> {
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "shown ", by("shown"));
    spool.hide(spool.syncedEnd);
    await fixture.append(spool, "one ", by("one"));
    await fixture.append(spool, "two ");
    await fixture.append(spool, "three", by("three"));
    return spool;
  }

  const again: [string, (fixture: SpoolFixture, spool: Spool) => Promise<Spool>][] = [
    ["in the same process", (_fixture, spool) => Promise.resolve(spool)],
    [
      "found by replay",
      (fixture) => {
        fixture.disk.crash();
        return fixture.reopen("a");
      },
    ],
    [
      "found in a checkpoint",
      async (fixture) => {
        await fixture.close();
        return fixture.reopen("a");
      },
    ],
  ];
  for (const [what, reopened] of again) {
    test(`cut, ${what} -> those behind what stays; also after another restart`, async () => {
      for (const [begin, name] of [
        [17, "one"],
        [14, "one"],
        [10, "one"],
        [9, "shown"],
        [6, "shown"],
      ] as const) {
        const fixture = new SpoolFixture(`registers/${what}/${begin}`);
        const spool = await reopened(fixture, await hidden(fixture));
        assert.deepEqual(
          [spool.syncedEnd, spool.registers, spool.marks.knownUpTo(spool.syncedEnd)],
          [19, by("three"), 19],
        );
        spool.hide(6);
        await fixture.drive(spool.cut(begin));
        assert.deepEqual([spool.registers, spool.marks.at(begin)], [by(name), by(name)]);
        assert.deepEqual([spool.pendingRegisters, spool.marks.knownUpTo(spool.syncedEnd)], [by(name), begin]);
        fixture.disk.crash();
        const next = await fixture.reopen("a");
        assert.deepEqual([next.syncedEnd, next.marks.at(begin)], [begin, by(name)]);
      }
    });

    test(`copied, ${what} -> unknown behind it, known before; told with a roll -> known`, async () => {
      const fixture = new SpoolFixture(`copied/${what}`);
      const before = await hidden(fixture);
      const append = before.openAppend(false);
      await append.write(Buffer.from("copied"), never);
      await fixture.drive(new Promise<void>((resolve) => append.commit("unknown", () => resolve())));
      const spool = await reopened(fixture, before);
      assert.deepEqual(
        [spool.syncedEnd, spool.marks.at(25), spool.marks.knownUpTo(spool.syncedEnd)],
        [25, undefined, 19],
      );
      spool.roll(25, by("four"));
      await fixture.append(spool, "");
      assert.deepEqual([spool.marks.at(25), spool.marks.knownUpTo(spool.syncedEnd)], [by("four"), 25]);
    });
  }

  test("cut below what is known -> unknown, also after a restart and a checkpoint, until they are given", async () => {
    const fixture = new SpoolFixture("registers/below");
    const spool = await hidden(fixture);
    spool.confirm(19);
    spool.hide(0);
    await fixture.drive(spool.cut(12));
    assert.deepEqual([spool.marks.at(12), spool.marks.knownUpTo(spool.syncedEnd)], [undefined, undefined]);
    await fixture.close();
    const next = await fixture.reopen("a");
    assert.deepEqual(
      [next.syncedEnd, next.marks.at(12), next.marks.knownUpTo(next.syncedEnd)],
      [12, undefined, undefined],
    );
    next.roll(12, by("given"));
    await fixture.append(next, "");
    fixture.disk.crash();
    assert.deepEqual((await fixture.reopen("a")).marks.at(12), by("given"));
  });
});
