// The log at work, and the rules of durability.md that it keeps: D2 (torn is not rotten), D5 (syncs that fail).
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { decodeGroup } from "./group-codec.ts";
import { LogFixture } from "./log-fixture.ts";
import { segmentName } from "./log-files.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-codec.ts";
import { filesOf } from "./simulated-disk.ts";

const isCorrupt = (path: string) => (error: unknown) =>
  error instanceof WireError && error.code === "CORRUPT" && error.facts["path"] === path;

/** Where the groups of a segment stand: offsets from the first group on, ending with the end of the last. */
function groupOffsets(fixture: LogFixture, number: number): number[] {
  const file = fixture.disk.file(`log/${segmentName(number)}`)!;
  const segment = fixture.scan.segments.find(({ header }) => header.number === number)!;
  const bytes = file.read(0, file.length);
  const offsets = [SEGMENT_HEADER_BYTES];
  for (;;) {
    const outcome = decodeGroup(bytes, offsets.at(-1)!, segment.header);
    if (outcome.kind !== "group") return offsets;
    offsets.push(outcome.group.end);
  }
}

/** Another medium with the same files, all synced. */
async function copyOf(fixture: LogFixture, seed: string): Promise<LogFixture> {
  const copy = new LogFixture(seed);
  const disk = copy.disk.open();
  await copy.drive(disk.run("bulk", [{ kind: "make-dir", path: "log" }]));
  for (const { path, bytes } of filesOf(fixture.disk)) {
    const content = fixture.disk.file(path)!.read(0, bytes);
    await copy.drive(
      disk.run("bulk", [
        { kind: "write", path, position: 0, bytes: content },
        { kind: "sync", path },
        { kind: "sync-dir", path: "log" },
      ]),
    );
  }
  copy.session = copy.disk.open();
  return copy;
}

suite("write-ahead log", () => {
  test("append: several in one turn -> one sync, listeners in order, read back in order", async () => {
    const fixture = new LogFixture("one sync");
    await fixture.open();
    const before = fixture.metrics.counter("millrace_log_syncs_total", "").value({ log: "test" });
    const texts = ["a", "b", "", "d".repeat(3000)];
    const order: string[] = [];
    for (const text of texts) {
      fixture.log.append([Buffer.from(text.slice(0, 1)), Buffer.from(text.slice(1))], {
        onLogged: () => order.push(text),
      });
    }
    await fixture.agenda.runUntil(() => order.length === 4, 1000);
    assert.deepEqual(order, texts);
    assert.equal(fixture.metrics.counter("millrace_log_syncs_total", "").value({ log: "test" }) - before, 1);
    await fixture.drive(fixture.log.close());
    await fixture.open();
    assert.deepEqual(fixture.replayed, texts);
  });

  test("metrics: two logs of a process -> each has its own series", async () => {
    const one = new LogFixture("one of two", {}, { name: "journals" });
    const other = new LogFixture("other of two", {}, { name: "coordination" });
    Object.assign(other, { metrics: one.metrics });
    for (const [fixture, texts] of [[one, ["a", "b"]] as const, [other, ["c"]] as const]) {
      await fixture.open();
      let logged = 0;
      for (const text of texts) fixture.log.append([Buffer.from(text)], { onLogged: () => logged++ });
      await fixture.agenda.runUntil(() => logged === texts.length, 1000);
    }
    const records = one.metrics.counter("millrace_log_records_total", "");
    assert.deepEqual([records.value({ log: "journals" }), records.value({ log: "coordination" })], [2, 1]);
    assert.doesNotMatch(
      one.metrics.render(),
      /^millrace_log_\w+(?:\{le="[^"]*"\})? /m,
      "a series without a log",
    );
  });

  test("append: more than segments hold -> goes on in the next ones, all read back", async () => {
    const fixture = new LogFixture("segments");
    await fixture.open();
    const texts = Array.from({ length: 100 }, (_, i) => `${i} `.padEnd(1000, "."));
    for (let i = 0; i < texts.length; i += 5) {
      const appended = await fixture.appendAll(...texts.slice(i, i + 5));
      assert.ok(appended.every(({ outcome }) => outcome === "synced"));
    }
    await fixture.drive(fixture.log.close());
    await fixture.open();
    assert.deepEqual(fixture.replayed, texts);
    assert.ok(fixture.scan.segments.length > 6);
  });

  test("append: the queue is full -> not taken, and taken again when it has drained", async () => {
    const fixture = new LogFixture("full queue");
    await fixture.open();
    const texts = Array.from({ length: 40 }, () => "x".repeat(4000));
    const appended = texts.map((text) => fixture.append(text));
    assert.equal(appended.filter(({ outcome }) => outcome === "not taken").length, 40 - 16);
    assert.ok(fixture.log.queuedBytes <= 64 * 1024);
    await fixture.agenda.runUntil(() => fixture.log.queuedBytes === 0, 1000);
    assert.equal(appended.filter(({ outcome }) => outcome === "synced").length, 16);
    assert.equal((await fixture.appendAll("again"))[0]!.outcome, "synced");
  });

  test("reserve: records of one reservation -> one group, also across the end of a segment", async () => {
    const fixture = new LogFixture("reserve");
    await fixture.open();
    let scope = 0;
    const scopes = new Set<number>();
    for (let i = 0; i < 50; i++) {
      scope = fixture.log.reserve(2 * 1004);
      scopes.add(scope);
      fixture.append("a".repeat(1000));
      assert.equal(fixture.log.reserve(1004), scope);
      await fixture.appendAll("b".repeat(1000));
    }
    await fixture.drive(fixture.log.close());
    await fixture.open();
    assert.equal(fixture.replayed.length, 100);
    assert.equal(scopes.size, fixture.scan.segments.filter(({ first }) => first !== undefined).length);
  });

  test("recycle: segments below the position -> used again, and the log is read from there", async () => {
    const fixture = new LogFixture("recycle");
    await fixture.open();
    for (let i = 0; i < 60; i++) {
      await fixture.appendAll(`${i} `.padEnd(1500, "."));
      if (i % 10 === 9) fixture.log.recycle(fixture.log.synced - 1);
    }
    const from = fixture.log.synced - 1;
    await fixture.drive(fixture.log.close());
    assert.ok(filesOf(fixture.disk).length <= 6, JSON.stringify(filesOf(fixture.disk)));
    await fixture.open(from);
    assert.deepEqual(
      fixture.replayed.map((text) => Number.parseInt(text, 10)),
      [58, 59],
    );
    await fixture.drive(fixture.log.close());
    await assert.rejects(fixture.read(1), WireError); // what was recycled is missing
  });

  test("retainedBytes: grows with the log, shrinks with recycle", async () => {
    const fixture = new LogFixture("retained");
    await fixture.open();
    for (let i = 0; i < 40; i++) await fixture.appendAll("x".repeat(1000));
    const before = fixture.log.retainedBytes;
    fixture.log.recycle(fixture.log.synced + 1);
    assert.ok(before > 3 * 16 * 1024 && fixture.log.retainedBytes <= 16 * 1024, `${before}`);
  });

  test("close: what was appended before -> synced; after it -> not taken", async () => {
    const fixture = new LogFixture("close");
    await fixture.open();
    const appended = [fixture.append("one"), fixture.append("two")];
    const closing = fixture.log.close();
    assert.equal(fixture.append("late").outcome, "not taken");
    await fixture.drive(closing);
    assert.deepEqual(
      appended.map(({ outcome }) => outcome),
      ["synced", "synced"],
    );
  });
});

suite("D2: torn is not rotten", () => {
  test("power cut at any moment -> every synced record is there, in order, and nothing twice", async () => {
    for (let seed = 0; seed < 80; seed++) {
      const random = seededRandom(`D2/${seed}`);
      const fixture = new LogFixture(`D2/${seed}`);
      const synced: string[] = [];
      const tried: string[] = [];
      for (let life = 0; life < 4; life++) {
        await fixture.open();
        assert.deepEqual(
          fixture.replayed.filter((text) => !synced.includes(text) && !tried.includes(text)),
          [],
        );
        assert.deepEqual(
          fixture.replayed.filter((text) => synced.includes(text)),
          synced,
          `seed ${seed}`,
        );
        synced.splice(0, synced.length, ...fixture.replayed);
        const steps = random.below(30);
        for (let step = 0; step < steps; step++) {
          const text = `${life}.${step} `.padEnd(1 + random.below(3000), ".");
          tried.push(text);
          fixture.log.append([Buffer.from(text)], {
            onLogged: (failure) => void (failure ?? synced.push(text)),
          });
          if (random.below(3) === 0) await fixture.agenda.advance(random.below(10) / 10);
        }
        fixture.disk.crash();
      }
    }
  });

  test("last group cut at any byte, or torn with old bytes behind -> it alone is gone; the log goes on", async () => {
    const origin = new LogFixture("torn");
    await origin.open();
    for (const text of ["first", "second", "the third and last"]) await origin.appendAll(text);
    await origin.read();
    origin.disk.kill();
    const [, , begin, end] = groupOffsets(origin, 1) as [number, number, number, number];
    for (let kept = 0; kept < end - begin; kept++) {
      const fixture = await copyOf(origin, `torn/${kept}`);
      const file = fixture.disk.file(`log/${segmentName(1)}`)!;
      file.write(begin + kept, new Uint8Array(end - begin - kept).fill(kept % 2 === 0 ? 0 : 0x4d));
      file.sync();
      await fixture.open();
      assert.deepEqual(fixture.replayed, ["first", "second"], `${kept} bytes kept`);
      await fixture.appendAll("other");
      fixture.disk.crash();
      await fixture.open();
      assert.deepEqual(fixture.replayed, ["first", "second", "other"]);
    }
  });

  test("any byte of a group that a later one covers is rotten -> refused, place named, nothing changed", async () => {
    const origin = new LogFixture("rot");
    await origin.open();
    for (const text of ["first", "second", "third"]) await origin.appendAll(text);
    await origin.agenda.advance(1000); // the empty group that covers the third
    await origin.read();
    origin.disk.kill();
    const offsets = groupOffsets(origin, 1);
    assert.equal(offsets.length, 5);
    const path = `log/${segmentName(1)}`;
    for (let at = offsets[0]!; at < offsets[3]!; at++) {
      const fixture = await copyOf(origin, `rot/${at}`);
      fixture.disk.file(path)!.rot(at, 1 << (at % 8));
      const before = filesOf(fixture.disk).map((file) => fixture.disk.file(file.path)!.read(0, file.bytes));
      const offset = offsets.findLast((begin) => begin <= at)!;
      await assert.rejects(
        fixture.open(),
        (error: unknown) => isCorrupt(path)(error) && (error as WireError).facts["offset"] === offset,
      );
      assert.deepEqual(
        filesOf(fixture.disk).map((file) => fixture.disk.file(file.path)!.read(0, file.bytes)),
        before,
      );
    }
  });

  test("rot in the last group of a segment that is followed by another one -> refused", async () => {
    const fixture = new LogFixture("rot at the end");
    await fixture.open();
    for (let i = 0; i < 12; i++) await fixture.appendAll("x".repeat(3000));
    await fixture.read();
    const offsets = groupOffsets(fixture, 1);
    fixture.disk.kill();
    fixture.disk.file(`log/${segmentName(1)}`)!.rot(offsets.at(-2)! + 50, 4);
    await assert.rejects(fixture.open(), isCorrupt(`log/${segmentName(1)}`));
  });

  test("rot in the very first group, with segments behind it -> refused, its own file named", async () => {
    const fixture = new LogFixture("rot at the begin");
    await fixture.open();
    for (let i = 0; i < 12; i++) await fixture.appendAll("x".repeat(3000));
    await fixture.read();
    const [first] = groupOffsets(fixture, 1);
    fixture.disk.kill();
    fixture.disk.file(`log/${segmentName(1)}`)!.rot(first! + 50, 4);
    await assert.rejects(fixture.open(), isCorrupt(`log/${segmentName(1)}`));
  });

  test("rot in the first group of a segment between two others -> refused, its own file named", async () => {
    const fixture = new LogFixture("rot between");
    await fixture.open();
    for (let i = 0; i < 24; i++) await fixture.appendAll("x".repeat(1500));
    await fixture.read();
    const [first, second] = groupOffsets(fixture, 2);
    assert.ok(
      second !== undefined && filesOf(fixture.disk).some(({ path }) => path === `log/${segmentName(3)}`),
    );
    fixture.disk.kill();
    fixture.disk.file(`log/${segmentName(2)}`)!.rot(first! + 50, 4);
    await assert.rejects(fixture.open(), isCorrupt(`log/${segmentName(2)}`));
  });

  test("rot in the copy that a restart made of a group, whose older copy is whole -> refused", async () => {
    const fixture = new LogFixture("rot in a copy");
    await fixture.open();
    await fixture.appendAll("one");
    fixture.disk.kill();
    await fixture.open();
    await fixture.appendAll("two");
    await fixture.read();
    fixture.disk.kill();
    const { path } = fixture.scan.segments.findLast(({ first }) => first !== undefined)!;
    fixture.disk.file(path)!.rot(SEGMENT_HEADER_BYTES + 42, 1);
    await assert.rejects(fixture.open(), isCorrupt(path));
  });

  test("a segment in the middle is missing, or its header is rotten -> refused", async () => {
    const fixture = new LogFixture("missing");
    await fixture.open();
    for (let i = 0; i < 20; i++) await fixture.appendAll("x".repeat(3000));
    fixture.disk.kill();
    const copy = await copyOf(fixture, "missing/header");
    for (const at of [10, 2058]) copy.disk.file(`log/${segmentName(2)}`)!.rot(at, 1);
    await assert.rejects(copy.open(), isCorrupt(`log/${segmentName(2)}`));
    const other = await copyOf(fixture, "missing/file");
    await other.drive(other.session.run("bulk", [{ kind: "remove", path: `log/${segmentName(2)}` }]));
    await assert.rejects(other.open(), isCorrupt(`log/${segmentName(1)}`));
  });

  test("idle for 100 ms -> an empty group covers the last one, once", async () => {
    const fixture = new LogFixture("idle");
    await fixture.open();
    await fixture.appendAll("only");
    const syncs = (): number =>
      fixture.metrics.counter("millrace_log_syncs_total", "").value({ log: "test" });
    assert.equal(syncs(), 1);
    await fixture.agenda.advance(90);
    assert.equal(syncs(), 1);
    await fixture.agenda.advance(20);
    assert.equal(syncs(), 2);
    await fixture.agenda.advance(10_000);
    assert.equal(syncs(), 2);
  });

  test("recycled segments, cut short by a power cut at any moment -> old records never come back", async () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = seededRandom(`recycled/${seed}`);
      const fixture = new LogFixture(`recycled/${seed}`);
      let position = 1;
      let next = 0;
      let synced = 0;
      for (let life = 0; life < 5; life++) {
        await fixture.open(position);
        const found = fixture.replayed.map((text) => Number.parseInt(text, 10));
        // Without a gap up to at least the last that was synced, and nothing from before the position.
        assert.deepEqual(
          found,
          Array.from({ length: found.length }, (_, i) => (found[0] ?? 0) + i),
          `seed ${seed}`,
        );
        assert.ok(found.length === 0 || found.at(-1)! >= synced - 1);
        next = Math.max(next, (found.at(-1) ?? -1) + 1);
        const steps = 10 + random.below(30);
        for (let step = 0; step < steps; step++) {
          const n = next++;
          fixture.log.append([Buffer.from(`${n} `.padEnd(1 + random.below(6000), "o"))], {
            onLogged: (failure) => {
              if (failure !== undefined) return;
              synced = n + 1;
              if (random.below(4) === 0) fixture.log.recycle((position = fixture.log.synced + 1));
            },
          });
          await fixture.agenda.advance(random.below(20) / 10);
        }
        fixture.disk.crash();
        next = synced;
      }
    }
  });
});

suite("D5: failed syncs and full disks", () => {
  test("a sync fails -> fatal once, all that is pending is unknown, nothing is taken any more", async () => {
    const fixture = new LogFixture("failed sync");
    await fixture.open();
    await fixture.appendAll("before");
    fixture.disk.failSync((path) => path.endsWith(".seg"));
    const first = fixture.append("first");
    await fixture.agenda.step(fixture.agenda.nowMs + 100);
    const second = fixture.append("second");
    await fixture.agenda.advance(1000);
    assert.deepEqual([first.outcome, second.outcome], ["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN"]);
    assert.equal(fixture.fatal.length, 1);
    assert.equal(fixture.append("late").outcome, "not taken");
    assert.match(fixture.log.unhealthy()!, /failed/);
    fixture.disk.crash();
    await fixture.open();
    assert.equal(fixture.replayed[0], "before");
    assert.ok(!fixture.replayed.includes("second"));
  });

  test("no room for the next segment -> refused with DISK_FULL, nothing half written; later taken again", async () => {
    const fixture = new LogFixture("full disk");
    await fixture.open();
    await fixture.agenda.advance(10);
    fixture.disk.capacityBytes = fixture.disk.usedBytes + 100;
    const synced: string[] = [];
    let refused = 0;
    for (let i = 0; i < 20; i++) {
      const text = `${i} `.padEnd(3000, ".");
      const [appended] = await fixture.appendAll(text);
      if (appended!.outcome === "synced") synced.push(text);
      else refused++;
      assert.ok(["synced", "DISK_FULL"].includes(appended!.outcome!));
    }
    assert.ok(refused > 5 && synced.length >= 6, `${refused} refused, ${synced.length} synced`);
    assert.match(fixture.log.unhealthy()!, /space/);
    fixture.disk.capacityBytes *= 10;
    await fixture.agenda.advance(1000);
    assert.equal(fixture.log.unhealthy(), undefined);
    assert.deepEqual(fixture.space, [true, false]);
    const [after] = await fixture.appendAll("after");
    assert.equal(after!.outcome, "synced");
    fixture.disk.crash();
    await fixture.open();
    assert.deepEqual(fixture.replayed, [...synced, "after"]);
  });

  test("no room, then recycled -> the freed segment is used, without more room", async () => {
    const fixture = new LogFixture("full, recycled");
    await fixture.open();
    await fixture.agenda.advance(10);
    fixture.disk.capacityBytes = fixture.disk.usedBytes + 100;
    let outcome: string | undefined;
    for (let i = 0; i < 20 && outcome !== "DISK_FULL"; i++) {
      const [appended] = await fixture.appendAll("x".repeat(3000));
      outcome = appended!.outcome;
    }
    assert.equal(outcome, "DISK_FULL");
    fixture.log.recycle(fixture.log.synced + 1);
    await fixture.agenda.advance(100);
    const [after] = await fixture.appendAll("y".repeat(3000));
    assert.equal(after!.outcome, "synced");
  });

  test("a write into a segment is refused -> that group is unknown, the log goes on in the next segment", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const fixture = new LogFixture(`refused/${seed}`);
      await fixture.open();
      await fixture.appendAll("before");
      fixture.disk.failWrite((path) => path.endsWith(".seg"));
      const unknown = fixture.append("unknown");
      await fixture.agenda.runUntil(() => unknown.outcome !== undefined, fixture.agenda.nowMs + 1000);
      assert.equal(unknown.outcome, "OUTCOME_UNKNOWN");
      const [after] = await fixture.appendAll("after");
      assert.equal(after!.outcome, "synced");
      assert.deepEqual(fixture.fatal, []);
      fixture.disk.crash();
      await fixture.open();
      assert.deepEqual(fixture.replayed, ["before", "after"]);
    }
  });

  test("a sync that takes long -> unhealthy meanwhile, then not", async () => {
    let slow = false;
    const delayMs = (): number => (slow ? 8000 : 0.1);
    const fixture = new LogFixture("slow", { delayMs });
    await fixture.open();
    await fixture.agenda.advance(10);
    slow = true;
    const appended = fixture.append("slow");
    await fixture.agenda.advance(6000);
    assert.match(fixture.log.unhealthy()!, /takes/);
    slow = false;
    await fixture.agenda.advance(20_000);
    assert.equal(appended.outcome, "synced");
    assert.equal(fixture.log.unhealthy(), undefined);
  });
});
