// Local storage at work. The rules of durability.md that it keeps are tested in durable-spools.sim.test.ts.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import { InvariantError, never, WireError } from "@millrace/base";
import { EMPTY_LABELS, labelSet } from "@millrace/protocol";
import { filesOf } from "@millrace/wal/testkit";
import { contents, SpoolFixture } from "./spool-fixture.ts";

const sha1 = (bytes: string | Uint8Array): string => createHash("sha1").update(bytes).digest("hex");
const hasCode = (code: string) => (error: unknown) => error instanceof WireError && error.code === code;

suite("append", () => {
  test("in pieces, with registers -> one commit; sums of append and fragment", async () => {
    const fixture = new SpoolFixture("pieces");
    const spool = await fixture.reopen("a/b");
    const append = spool.openAppend();
    assert.equal(append.sum(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    for (const piece of ["one ", "", "two"]) await append.write(Buffer.from(piece), never);
    assert.deepEqual([append.begin, append.bytes, append.sum()], [0, 7, sha1("one two")]);
    const outcome = await fixture.drive(
      new Promise((resolve) => append.commit(labelSet(["author", "x"]), resolve)),
    );
    assert.deepEqual(outcome, { kind: "acknowledged", begin: 0, end: 7 });
    await fixture.append(spool, ", three");
    assert.equal(await fixture.text(spool), "one two, three");
    assert.equal(spool.fragments()[0]!.sum(), sha1("one two, three"));
    assert.deepEqual(spool.registers, labelSet(["author", "x"]));
    assert.equal(spool.firstAppendMs, spool.fragments()[0]!.firstAppendMs);
  });

  test("many journals in one turn -> one sync, outcomes in order", async () => {
    const fixture = new SpoolFixture("one sync");
    await fixture.open();
    const spools = [];
    for (let i = 0; i < 20; i++) spools.push(await fixture.claim(`j/${i}`));
    const syncs = fixture.metrics.counter("millrace_log_syncs_total", "");
    const before = syncs.value({ log: "journals" });
    const started = spools.flatMap((spool) => [
      fixture.start(spool, "first"),
      fixture.start(spool, "second"),
    ]);
    await fixture.agenda.runUntil(() => started.every(({ outcome }) => outcome !== undefined), 1000);
    assert.ok(started.every(({ outcome }) => outcome!.kind === "acknowledged"));
    assert.equal(syncs.value({ log: "journals" }) - before, 1);
  });

  test("rolled back, or empty -> nothing changes, and its turn comes all the same", async () => {
    const fixture = new SpoolFixture("rollback");
    const spool = await fixture.reopen("a");
    const append = spool.openAppend();
    await append.write(Buffer.from("forget this"), never);
    append.rollback();
    assert.equal(spool.pendingEnd, 0);
    const started = [fixture.start(spool, "x"), fixture.start(spool, ""), fixture.start(spool, "y")];
    assert.deepEqual(
      started.map(({ outcome }) => outcome),
      [undefined, undefined, undefined],
    );
    await fixture.agenda.advance(100);
    const ends = started.map(({ outcome }) => (outcome?.kind === "acknowledged" ? outcome.end : -1));
    assert.deepEqual(ends, [1, 1, 2]);
    assert.equal(await fixture.text(spool), "xy");
  });

  test("rolled -> a fragment with bytes is counted as completed, an empty one is not", async () => {
    const fixture = new SpoolFixture("completed");
    const spool = await fixture.reopen("a");
    const completed = (): string[] =>
      fixture.metrics
        .render()
        .split("\n")
        .filter((line) => line.startsWith("gazette_spool_completed_total"));
    assert.deepEqual(completed(), ["gazette_spool_completed_total 0"]);
    await fixture.append(spool, "some");
    for (const begin of [4, 4, 9]) spool.roll(begin);
    await fixture.append(spool, "more");
    assert.deepEqual(completed(), ["gazette_spool_completed_total 1"]);
    spool.roll(13);
    await fixture.append(spool, "");
    assert.deepEqual(completed(), ["gazette_spool_completed_total 2"]);
    await fixture.reopen("a");
    assert.deepEqual(completed(), ["gazette_spool_completed_total 2"]);
  });

  test("opened twice, ended twice, written after its end -> our mistake", async () => {
    const fixture = new SpoolFixture("mistakes");
    const spool = await fixture.reopen("a");
    const append = spool.openAppend();
    assert.throws(() => spool.openAppend(), InvariantError);
    assert.throws(() => spool.roll(0, EMPTY_LABELS), InvariantError);
    append.rollback();
    assert.throws(() => append.rollback(), InvariantError);
    assert.throws(() => append.commit(undefined, () => undefined), InvariantError);
    assert.throws(() => append.write(Buffer.from("x"), never), InvariantError);
  });

  test("the chunk changes after write -> the append does not", async () => {
    const fixture = new SpoolFixture("chunk");
    const spool = await fixture.reopen("a");
    const large = Buffer.alloc(10_000, "L");
    for (const chunk of [Buffer.from("small"), large]) {
      const append = spool.openAppend();
      const writing = append.write(chunk, never);
      if (writing !== undefined) await fixture.drive(writing);
      chunk.fill("!");
      await fixture.drive(new Promise((resolve) => append.commit(undefined, resolve)));
    }
    assert.equal(await fixture.text(spool), `small${"L".repeat(10_000)}`);
  });

  test("the log's queue is full -> refused in order, then appends are taken where the journal ends", async () => {
    const fixture = new SpoolFixture("overload");
    const spool = await fixture.reopen("a");
    const started = Array.from({ length: 30 }, (_, i) => fixture.start(spool, Buffer.alloc(2000, i)));
    await fixture.agenda.advance(100);
    const kinds = started.map(({ outcome }) => outcome?.kind);
    const taken = kinds.indexOf("refused");
    assert.ok(taken > 5, `${taken}`);
    assert.ok(kinds.slice(0, taken).every((kind) => kind === "acknowledged"));
    assert.ok(kinds.slice(taken).every((kind) => kind === "refused"));
    const [refused] = started.slice(taken);
    assert.ok(refused?.outcome?.kind === "refused" && refused.outcome.error.code === "OVERLOADED");
    assert.deepEqual([spool.end, spool.pendingEnd], [taken * 2000, taken * 2000]);
    assert.deepEqual(await fixture.append(spool, "on"), {
      kind: "acknowledged",
      begin: spool.end - 2,
      end: spool.end,
    });
  });

  test("room: waits while much is queued, rejects when its signal aborts", async () => {
    const fixture = new SpoolFixture("room");
    const spool = await fixture.reopen("a");
    await fixture.drive(fixture.spools.room(never));
    for (let i = 0; i < 9; i++) fixture.start(spool, Buffer.alloc(2000, i));
    assert.ok(fixture.spools.queuedBytes > 16 * 1024);
    const aborted = new AbortController();
    const waiting = assert.rejects(fixture.spools.room(aborted.signal), /enough/);
    aborted.abort(new Error("enough"));
    await waiting;
    let hasRoom = false;
    const room = fixture.spools.room(never).then(() => (hasRoom = true));
    await Promise.resolve();
    assert.equal(hasRoom, false);
    await fixture.drive(room);
    assert.ok(fixture.spools.queuedBytes <= 16 * 1024);
  });

  test("large ones side by side with small ones -> in order, whole, and in the right place", async () => {
    const fixture = new SpoolFixture("direct");
    const spool = await fixture.reopen("a");
    let expected = "";
    for (let i = 0; i < 12; i++) {
      const content = String.fromCharCode(97 + i).repeat(i % 3 === 1 ? 7000 + i : 10);
      expected += content;
      const isSummed = i % 4 !== 0;
      const append = spool.openAppend(isSummed);
      for (let at = 0; at < content.length; at += 1000) {
        const writing = append.write(Buffer.from(content.slice(at, at + 1000)), never);
        if (writing !== undefined) await fixture.drive(writing);
      }
      if (isSummed) assert.equal(append.sum(), sha1(content));
      else assert.throws(() => append.sum());
      append.commit(undefined, (outcome) => assert.equal(outcome.kind, "acknowledged"));
    }
    await fixture.agenda.advance(100);
    assert.equal(await fixture.text(spool), expected);
    assert.equal(spool.fragments()[0]!.sum(), sha1(expected));
    fixture.disk.crash();
    assert.equal(await fixture.text(await fixture.reopen("a")), expected);
  });

  test("a large one is rolled back while its writes are under way -> they cannot reach what follows", async () => {
    const fixture = new SpoolFixture("stray");
    fixture.delayMs = (op) =>
      op?.kind === "write" && op.path.endsWith(".raw") && op.bytes[0] === 33 ? 50 : undefined;
    const spool = await fixture.reopen("a");
    const append = spool.openAppend();
    const writing = append.write(Buffer.alloc(5000, "!"), never);
    if (writing !== undefined) await fixture.drive(writing);
    append.rollback();
    assert.equal((await fixture.append(spool, "what follows")).kind, "acknowledged");
    assert.equal(await fixture.text(spool), "what follows");
    await fixture.agenda.advance(1000);
    const [file] = filesOf(fixture.disk).filter(({ path }) => path.endsWith(".raw"));
    assert.equal(Buffer.from(fixture.disk.file(file!.path)!.read(0, 12)).toString(), "what follows");
  });
});

suite("roll", () => {
  test("in the middle of what is pending -> fragments meet there; an empty one is replaced", async () => {
    const fixture = new SpoolFixture("roll");
    const spool = await fixture.reopen("a");
    const started = [fixture.start(spool, "one")];
    spool.roll(spool.pendingEnd);
    spool.roll(spool.pendingEnd);
    assert.deepEqual([spool.begin, spool.end, spool.firstAppendMs], [3, 0, undefined]);
    started.push(fixture.start(spool, "two"));
    spool.roll(100, labelSet(["author", "next"]));
    started.push(fixture.start(spool, "three"));
    await fixture.agenda.runUntil(() => started.every(({ outcome }) => outcome !== undefined), 1000);
    assert.deepEqual(
      spool.fragments().map(({ begin, end, closed }) => [begin, end, closed]),
      [
        [0, 3, true],
        [3, 6, true],
        [100, 105, false],
      ],
    );
    assert.deepEqual(
      spool.fragments().map((one) => one.sum()),
      ["one", "two", "three"].map(sha1),
    );
    assert.deepEqual(spool.registers, labelSet(["author", "next"]));
    assert.equal(Buffer.from(await fixture.drive(spool.read(4, 99, never))).toString(), "wo");
    await assert.rejects(fixture.drive(spool.read(50, 1, never)), hasCode("NOT_FOUND"));
  });

  test("back -> our mistake; claim with a larger head -> starts empty there", async () => {
    const fixture = new SpoolFixture("back");
    const spool = await fixture.reopen("a", { atLeast: 500 });
    assert.deepEqual([spool.begin, spool.end, spool.fragments()], [500, 500, []]);
    assert.throws(() => spool.roll(499), InvariantError);
    await fixture.append(spool, "x");
    fixture.disk.crash();
    const again = await fixture.reopen("a", { atLeast: 200 });
    assert.deepEqual([again.begin, again.end], [500, 501]);
  });
});

suite("read and release", () => {
  test("more than memory keeps -> from the file, the same bytes; the memory stays bounded", async () => {
    const fixture = new SpoolFixture("tail");
    await fixture.open();
    const spools = [await fixture.claim("a"), await fixture.claim("b")];
    const expected = ["", ""];
    for (let i = 0; i < 200; i++) {
      const text = `${i},`.repeat(40);
      expected[i % 2] += text;
      await fixture.append(spools[i % 2]!, text);
    }
    for (const i of [0, 1]) {
      assert.equal(await fixture.text(spools[i]!), expected[i]);
      assert.equal(spools[i]!.fragments()[0]!.sum(), sha1(expected[i]!));
    }
  });

  test("release -> logged, file removed, gone from the fragments; the rest stays", async () => {
    const fixture = new SpoolFixture("release");
    const spool = await fixture.reopen("a");
    await fixture.append(spool, "old");
    spool.roll(3);
    await fixture.append(spool, "new");
    let changes = 0;
    const off = spool.onChange(() => changes++);
    spool.release({ begin: 0, end: 3 });
    assert.deepEqual(
      spool.fragments().map(({ begin }) => begin),
      [3],
    );
    await assert.rejects(fixture.drive(spool.read(0, 1, never)), hasCode("NOT_FOUND"));
    await fixture.agenda.advance(120);
    off();
    assert.equal(changes, 1);
    const raw = filesOf(fixture.disk).filter(({ path }) => path.endsWith(".raw"));
    assert.deepEqual(
      raw.map(({ path }) => path.slice(-20)),
      ["0000000000000003.raw"],
    );
    assert.throws(() => spool.release({ begin: 0, end: 3 }), InvariantError);
    assert.throws(() => spool.release({ begin: 3, end: 6 }), InvariantError); // it still grows
  });

  test("onChange: a batch of appends -> told once", async () => {
    const fixture = new SpoolFixture("changes");
    const spool = await fixture.reopen("a");
    let changes = 0;
    spool.onChange(() => {
      changes++;
      assert.equal(spool.end, 50);
    });
    for (let i = 0; i < 50; i++) fixture.start(spool, "x");
    await fixture.agenda.advance(10);
    assert.equal(changes, 1);
  });
});

suite("open and close", () => {
  test("names that look like paths, are long, or differ in case only -> each its own plain directory", async () => {
    const fixture = new SpoolFixture("names");
    await fixture.open();
    const names = ["../../../etc/passwd", "a/./b", "A/b", "a/b", `long/${"x".repeat(500)}`, "ü/é", "a~b@1"];
    for (const name of names) await fixture.append(await fixture.claim(name), name);
    await fixture.agenda.advance(120);
    const dirs = new Set(
      filesOf(fixture.disk)
        .filter(({ path }) => path.endsWith(".raw"))
        .map(({ path }) => path.split("/")[1]!),
    );
    assert.equal(dirs.size, names.length);
    for (const dir of dirs) assert.match(dir, /^[A-Za-z0-9_-]{1,80}~[0-9a-f]{16}@1$/);
    fixture.disk.crash();
    await fixture.open();
    assert.deepEqual(
      fixture.spools
        .unclaimed()
        .map(({ journal }) => journal)
        .sort(),
      [...names].sort(),
    );
    for (const name of names) assert.equal(await fixture.text(await fixture.claim(name)), name);
    assert.deepEqual(fixture.spools.unclaimed(), []);
  });

  test("close: what was committed -> synced; open appends and new ones -> SHUTTING_DOWN", async () => {
    const fixture = new SpoolFixture("close");
    const spool = await fixture.reopen("a");
    const started = fixture.start(spool, "kept");
    const open = spool.openAppend();
    const closing = fixture.spools.close();
    let late: string | undefined;
    open.commit(
      undefined,
      (outcome) => (late = outcome.kind === "refused" ? outcome.error.code : outcome.kind),
    );
    await fixture.drive(closing);
    assert.equal(started.outcome?.kind, "acknowledged");
    assert.equal(late, "SHUTTING_DOWN");
    await assert.rejects(fixture.spools.room(never), hasCode("SHUTTING_DOWN"));
    assert.match(fixture.spools.unhealthy()!, /clos/);
    assert.equal(await fixture.text(await fixture.reopen("a")), "kept");
  });

  test("epoch: the newest claim's is kept in log and checkpoint", async () => {
    const fixture = new SpoolFixture("epoch");
    await fixture.append(await fixture.reopen("a", { epoch: 5 }), "x");
    await fixture.append(await fixture.claim("a", { epoch: 9 }), "y");
    fixture.disk.crash();
    await fixture.open();
    const found = { journal: "a", createRevision: 1, epoch: 9, base: 0, end: 2 };
    assert.deepEqual(fixture.spools.unclaimed(), [found]);
    await fixture.close();
    await fixture.open();
    assert.deepEqual(fixture.spools.unclaimed(), [found]);
  });

  test("mark: of the store -> kept across a power loss and a clean restart, the newest one", async () => {
    const fixture = new SpoolFixture("mark");
    await fixture.append(await fixture.reopen("a"), "x");
    assert.equal(fixture.spools.mark, undefined);
    const mark = { clusterId: 2n ** 63n, revision: 5, token: 6n };
    await fixture.drive(fixture.spools.setMark({ ...mark, token: 1n }));
    await fixture.drive(fixture.spools.setMark(mark));
    fixture.disk.crash();
    await fixture.open();
    assert.deepEqual(fixture.spools.mark, mark);
    await fixture.close();
    await fixture.open();
    assert.deepEqual(fixture.spools.mark, mark);
    await fixture.close();
  });

  test("discard: to quarantine -> the same life begins anew once its files are there, also after a crash", async () => {
    const fixture = new SpoolFixture("discard");
    await fixture.append(await fixture.reopen("a"), "old");
    await fixture.close();
    for (const part of ["old", "one", "two"]) {
      await fixture.open();
      const life = fixture.spools.unclaimed()[0]!;
      fixture.spools.discard(life, { quarantine: true });
      await assert.rejects(fixture.claim("a"), hasCode("UNAVAILABLE"));
      await fixture.agenda.advance(100);
      const spool = await fixture.claim("a");
      assert.equal(spool.end, 0, part);
      await fixture.append(spool, part === "old" ? "one" : "two");
      fixture.disk.crash();
    }
    const kept = [...contents(fixture.disk, "quarantine/").values()];
    assert.deepEqual(kept.sort(), ["old", "one", "two"]);
    assert.equal(await fixture.text(await fixture.reopen("a")), "two");
  });

  test("claim: the same life again -> the same spool", async () => {
    const fixture = new SpoolFixture("again");
    const spool = await fixture.reopen("a");
    assert.equal(await fixture.claim("a"), spool);
  });
});

suite("the newest time that is left", () => {
  const HOUR_MS = 3_600_000;

  test("nothing yet -> none; killed, then stopped -> that of the newest record", async () => {
    const fixture = new SpoolFixture("newest time");
    let spool = await fixture.reopen("a");
    assert.equal(fixture.spools.newestMs, undefined);
    const ends = [async () => fixture.disk.kill(), () => fixture.close()];
    for (const end of ends) {
      await fixture.append(spool, "one");
      await fixture.agenda.advance(HOUR_MS);
      const sinceMs = fixture.clock.wallMs();
      await fixture.append(spool, "an hour later");
      await end();
      fixture.clock.epochMs += 5 * HOUR_MS;
      spool = await fixture.reopen("a");
      const leftMs = fixture.spools.newestMs!;
      assert.ok(sinceMs <= leftMs && leftMs < sinceMs + 60_000, `${leftMs - sinceMs} ms behind it`);
    }
  });
});
