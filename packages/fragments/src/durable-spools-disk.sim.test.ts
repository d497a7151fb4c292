// D5 of durability.md for local storage: a sync that fails ends the process, a full disk is waited for.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { never, WireError } from "@millrace/base";
import { filesOf } from "@millrace/wal/testkit";
import { contents, SpoolFixture } from "./spool-fixture.ts";
import { SMALL_SPOOLS } from "./spool-simulation.ts";

suite("D2: the log is gone", () => {
  test("bytes in spools without any log -> refused, nothing changed; spools without bytes -> opened", async () => {
    for (const content of ["bytes", ""]) {
      const fixture = new SpoolFixture(`no log/${content}`);
      const spool = await fixture.reopen("a");
      if (content !== "") await fixture.append(spool, content);
      await fixture.close();
      for (const { path } of filesOf(fixture.disk)) {
        if (path.startsWith("log/")) fixture.disk.perform({ kind: "remove", path }, "bulk");
      }
      const before = filesOf(fixture.disk);
      if (content === "") await fixture.open();
      else {
        await assert.rejects(fixture.open(), {
          code: "CORRUPT",
          message: /^log, offset 0: .*spools\/a~.*has bytes/,
        });
        assert.deepEqual(filesOf(fixture.disk), before);
      }
    }
  });
});

suite("D5: failed syncs and full disks", () => {
  test("the log's sync fails -> fatal, pending appends are unknown, nothing is acknowledged any more", async () => {
    const fixture = new SpoolFixture("D5/log");
    const spool = await fixture.reopen("a");
    fixture.disk.failSync((path) => path.startsWith("log/"));
    const started = fixture.start(spool, "x");
    await fixture.agenda.advance(1000);
    assert.equal(started.outcome?.kind, "unknown");
    assert.equal(fixture.fatal.length, 1);
    assert.equal((await fixture.append(spool, "y")).kind, "refused");
    assert.match(fixture.spools.unhealthy()!, /failed/);
    await assert.rejects(fixture.spools.room(never), WireError);
    await fixture.close();
  });

  test("the sync of a direct append or of a checkpoint fails -> fatal", async () => {
    for (const large of [true, false]) {
      const fixture = new SpoolFixture(`D5/spool/${large}`);
      const spool = await fixture.reopen("a");
      fixture.disk.failSync((path) => path.endsWith(".raw"));
      if (large) assert.equal((await fixture.append(spool, Buffer.alloc(5000))).kind, "refused");
      for (let i = 0; i < 40 && fixture.fatal.length === 0; i++)
        await fixture.append(spool, Buffer.alloc(2000, i));
      await fixture.agenda.advance(100);
      assert.equal(fixture.fatal.length, 1);
    }
  });

  test("the sync of a direct append fails while a checkpoint waits behind it -> the log is not let go", async () => {
    const log = { ...SMALL_SPOOLS.log, segmentBytes: 96 * 1024, firstSegmentBytes: 96 * 1024 };
    const fixture = new SpoolFixture("D5/behind", { log, checkpointLogBytes: 20 * 1024 });
    const [spool, busy] = [await fixture.reopen("a"), await fixture.claim("busy")];
    let expected = "";
    for (let i = 0; i < 10; i++) {
      expected += String(i).repeat(1500);
      await fixture.append(spool, String(i).repeat(1500));
    }
    fixture.delayMs = (op) => (op?.kind === "sync" && op.path.endsWith(".raw") ? 500 : undefined);
    fixture.disk.failSync((path) => path.endsWith(".raw"));
    const direct = fixture.append(spool, Buffer.alloc(5000));
    for (let i = 0; i < 5; i++) await fixture.append(busy, Buffer.alloc(2000, i));
    assert.equal(fixture.fatal.length, 0);
    assert.equal((await direct).kind, "refused");
    await fixture.agenda.advance(5000);
    assert.deepEqual([fixture.fatal.length, fixture.ops.some((op) => op.includes("checkpoint"))], [1, false]);
    fixture.disk.crash();
    assert.equal(await fixture.text(await fixture.reopen("a")), expected);
  });

  test("the disk fills up -> DISK_FULL, unhealthy, reads go on; room again -> goes on without a restart", async () => {
    const fixture = new SpoolFixture("D5/full");
    const spool = await fixture.reopen("a");
    await fixture.agenda.advance(20);
    fixture.disk.capacityBytes = fixture.disk.usedBytes + 200 * 1024;
    await fixture.agenda.advance(300);
    let refused: unknown;
    let expected = "";
    for (let i = 0; i < 300 && refused === undefined; i++) {
      const text = String.fromCharCode(97 + (i % 26)).repeat(1500);
      const outcome = await fixture.append(spool, text);
      if (outcome.kind === "acknowledged") expected += text;
      else refused = outcome.error;
    }
    assert.ok(refused instanceof WireError && refused.code === "DISK_FULL", String(refused));
    assert.match(fixture.spools.unhealthy()!, /space/);
    await assert.rejects(
      fixture.spools.room(never),
      (error: unknown) => (error as WireError).code === "DISK_FULL",
    );
    const append = spool.openAppend();
    await assert.rejects(Promise.resolve(append.write(Buffer.from("x"), never)), WireError);
    append.rollback();
    assert.equal(await fixture.text(spool), expected);
    assert.ok((await fixture.drive(fixture.session.space())).freeBytes > 30 * 1024); // the reserve was not eaten
    fixture.disk.capacityBytes *= 10;
    await fixture.agenda.advance(2000);
    assert.equal(fixture.spools.unhealthy(), undefined);
    assert.deepEqual(fixture.fatal, []);
    fixture.disk.crash();
    const again = await fixture.reopen("a");
    assert.equal(await fixture.text(again), expected);
    await fixture.append(again, "on");
  });

  test("full, then a fragment is released -> its space is enough to go on", async () => {
    const fixture = new SpoolFixture("D5/release");
    const spool = await fixture.reopen("a");
    for (let i = 0; i < 40; i++) await fixture.append(spool, Buffer.alloc(2000, i));
    spool.roll(spool.pendingEnd);
    await fixture.append(spool, "next");
    await fixture.agenda.advance(120);
    fixture.disk.capacityBytes = fixture.disk.usedBytes + 10_000;
    await fixture.agenda.advance(600);
    await fixture.append(spool, Buffer.alloc(2000));
    await fixture.agenda.advance(600);
    assert.match(fixture.spools.unhealthy() ?? "", /space/);
    spool.release({ begin: 0, end: 80_000 });
    await fixture.agenda.advance(2000);
    assert.equal(fixture.spools.unhealthy(), undefined);
    assert.equal((await fixture.append(spool, "more")).kind, "acknowledged");
  });

  test("the spool file finds no room for what the log has -> acknowledged, readable, and written later", async () => {
    const fixture = new SpoolFixture("D5/spool file", { reserveBytes: 0 });
    const spool = await fixture.reopen("a");
    await fixture.agenda.advance(20);
    fixture.disk.capacityBytes = fixture.disk.usedBytes;
    const started = fixture.start(spool, "x".repeat(2000));
    await fixture.agenda.advance(120);
    assert.equal(started.outcome?.kind, "acknowledged");
    assert.equal(await fixture.text(spool), "x".repeat(2000));
    assert.match(fixture.spools.unhealthy()!, /space/);
    assert.equal((await fixture.append(spool, "y")).kind, "refused");
    fixture.disk.capacityBytes *= 2;
    await fixture.agenda.advance(1000);
    assert.equal((await fixture.append(spool, "z")).kind, "acknowledged");
    await fixture.agenda.advance(120);
    const [file] = [...contents(fixture.disk, "spools/").values()];
    assert.equal(file, `${"x".repeat(2000)}z`);
  });
});
