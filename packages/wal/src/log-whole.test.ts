// Files of a log that are cut short or gone (D2): a start is refused, or nothing that was synced is lost.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { hex16, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { crc32c } from "./crc32c.ts";
import { LogFixture } from "./log-fixture.ts";
import { segmentName } from "./log-files.ts";
import { filesOf } from "./simulated-disk.ts";
import { WriteAheadLog } from "./write-ahead-log.ts";

const textOf = (n: number): string => `${n} `.padEnd(2500, ".");

interface Damage {
  readonly path: string;
  /** Length that is left; undefined: the file is gone. */
  readonly bytes: number | undefined;
}

/** Opens `origin`'s disk, as it is, with one file damaged; the damage is undone. @returns what was refused */
async function openDamaged(
  origin: LogFixture,
  { path, bytes }: Damage,
  from: number,
): Promise<LogFixture | WireError> {
  const copy = await copyOf(origin);
  const { session } = copy;
  const op =
    bytes === undefined ? ({ kind: "remove", path } as const) : ({ kind: "truncate", path, bytes } as const);
  await copy.drive(session.run("bulk", [op]));
  try {
    await copy.open(from);
    return copy;
  } catch (error) {
    assert.ok(error instanceof WireError && error.code === "CORRUPT", String(error));
    assert.match(error.message, /^log[^ ]*, offset \d+: /);
    return error;
  }
}

/** Reads the log and begins to open it; how far that comes is up to the caller. */
async function beginToOpen(fixture: LogFixture, from: number): Promise<void> {
  fixture.session = fixture.disk.open();
  await fixture.read(from);
  const { clock, logger, metrics, session: disk } = fixture;
  const ports = { disk, clock, logger, metrics, random: seededRandom(`${fixture.disk.syncs}`) };
  WriteAheadLog.open(ports, fixture.options, { onFatal: () => undefined }, fixture.scan).catch(
    () => undefined,
  );
}

/** Another medium with the same files, all synced. */
async function copyOf(origin: LogFixture): Promise<LogFixture> {
  const copy = new LogFixture("copy");
  copy.session = copy.disk.open();
  await copy.drive(copy.session.run("bulk", [{ kind: "make-dir", path: "log" }]));
  for (const { path, bytes } of filesOf(origin.disk)) {
    const content = origin.disk.file(path)!.read(0, bytes);
    await copy.drive(copy.session.run("bulk", [{ kind: "write", path, position: 0, bytes: content }]));
  }
  return copy;
}

/** Places to cut a file of `bytes` at: begin, end, inside of headers, around pages, and some by chance. */
function placesIn(bytes: number, seed: string): number[] {
  const random = seededRandom(seed);
  const places = [0, 1, 27, 28, 59, 60, 2047, 2048, 2108, 4095, 4096, 4097, 4136, bytes >> 1, bytes - 1];
  for (let i = 0; i < 10; i++) places.push(random.below(bytes));
  return places.filter((at) => at < bytes);
}

/** Logs in several states, with what is synced in them. */
async function* logs(): AsyncGenerator<{
  name: string;
  fixture: LogFixture;
  from: number;
  synced: string[];
}> {
  for (const records of [0, 1, 3, 14, 40]) {
    for (const ending of ["kill", "close", "close and open", "crash and open"] as const) {
      for (const covered of ["nothing", "half", "all"] as const) {
        const name = `${records} records, ${ending}, ${covered} covered`;
        const fixture = new LogFixture(name);
        await fixture.open();
        let from = 1;
        for (let n = 0; n < records; n++) {
          await fixture.appendAll(textOf(n));
          if (covered === "half" && n === records >> 1) fixture.log.recycle((from = fixture.log.synced + 1));
        }
        if (covered === "all") fixture.log.recycle((from = fixture.log.synced + 1));
        await fixture.agenda.advance(50);
        if (ending.startsWith("close")) await fixture.drive(fixture.log.close());
        if (ending.startsWith("crash")) fixture.disk.crash();
        if (ending.endsWith("open")) {
          await fixture.open(from);
          await fixture.agenda.advance(50);
        }
        fixture.disk.kill();
        fixture.session = fixture.disk.open();
        await fixture.read(from);
        yield { name, fixture, from, synced: fixture.replayed };
      }
    }
  }
}

suite("D2: what must be there of a log", () => {
  test("any file cut at any kind of place -> refused, or nothing that was synced is lost", async () => {
    let refused = 0;
    for await (const { name, fixture, from, synced } of logs()) {
      for (const { path, bytes } of filesOf(fixture.disk)) {
        for (const kept of placesIn(bytes, `${name}/${path}`)) {
          const outcome = await openDamaged(fixture, { path, bytes: kept }, from);
          if (outcome instanceof WireError) {
            refused++;
            assert.equal(outcome.facts["path"], path, `${name}: ${outcome.message}`);
          } else {
            assert.ok(!path.endsWith(".seg"), `${name}: ${path} cut at ${kept} is taken`);
            assert.deepEqual(outcome.replayed, synced);
          }
        }
      }
    }
    assert.ok(refused > 1000, `${refused} refused`);
  });

  test("any file gone -> refused, or nothing that was synced is lost", async () => {
    const seen = { refused: 0, taken: 0 };
    for await (const { name, fixture, from, synced } of logs()) {
      for (const { path } of filesOf(fixture.disk)) {
        const outcome = await openDamaged(fixture, { path, bytes: undefined }, from);
        if (outcome instanceof WireError) seen.refused++;
        else {
          seen.taken++;
          assert.deepEqual(outcome.replayed, synced, `${name}: ${path} is missing`);
        }
      }
    }
    assert.ok(seen.refused > 60 && seen.taken > 20, JSON.stringify(seen));
  });

  test("the segment in use is gone, the next one is ready -> refused, it is named", async () => {
    const fixture = new LogFixture("in use");
    await fixture.open();
    for (let n = 0; n < 12; n++) await fixture.appendAll(textOf(n));
    await fixture.agenda.advance(50);
    fixture.disk.kill();
    const inUse = filesOf(fixture.disk).at(-2)!.path;
    const outcome = await openDamaged(fixture, { path: inUse, bytes: undefined }, 1);
    assert.ok(outcome instanceof WireError);
    assert.equal(
      outcome.message,
      `${inUse}, offset 0: this log segment is missing; ${filesOf(fixture.disk).at(-1)!.path} follows it`,
    );
  });

  test("all segments are gone, but a checkpoint says that there were groups -> refused", async () => {
    const fixture = new LogFixture("all gone");
    fixture.session = fixture.disk.open();
    await assert.rejects(fixture.open(7), { code: "CORRUPT", message: /^log, offset 0: .*group 6 / });
  });

  test("power cut at any moment of openings that append little -> never refused", async () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = seededRandom(`openings/${seed}`);
      const fixture = new LogFixture(`openings/${seed}`);
      let from = 1;
      for (let life = 0; life < 8; life++) {
        if (random.below(3) > 0) {
          await beginToOpen(fixture, from);
          await fixture.agenda.advance(random.below(30) / 10);
          fixture.disk[random.below(2) === 0 ? "crash" : "kill"]();
          continue;
        }
        await fixture.open(from);
        for (let n = random.below(4); n > 0; n--) await fixture.appendAll(textOf(n));
        if (random.below(2) === 0) fixture.log.recycle((from = fixture.log.synced + 1));
        if (random.below(2) === 0) fixture.append(textOf(life));
        await fixture.agenda.advance(random.below(10) / 20);
        if (random.below(2) === 0) fixture.disk.crash();
        else fixture.disk.kill();
      }
      await fixture.open(from);
    }
  });

  test("recycled behind an empty segment on a full disk, killed at any moment -> never refused (W7)", async () => {
    for (let step = 0; step < 40; step++) {
      const fixture = new LogFixture("full and empty");
      await fixture.open();
      await fixture.appendAll(textOf(1));
      await fixture.drive(fixture.log.close());
      const from = fixture.log.synced + 1;
      await fixture.open(from);
      fixture.disk.capacityBytes = fixture.disk.usedBytes;
      await fixture.agenda.advance(50);
      fixture.log.recycle(from);
      await fixture.agenda.advance(step / 20);
      fixture.disk.kill();
      fixture.disk.capacityBytes *= 2;
      await fixture.open(from);
    }
  });

  test("segments of version 1 -> read, the log goes on; the checkpoint may have emptied it", async () => {
    for (const covered of [false, true]) {
      const fixture = new LogFixture(`version 1, ${covered}`);
      await fixture.open();
      await fixture.appendAll("one", "two");
      await fixture.agenda.advance(50);
      const synced = fixture.log.synced;
      fixture.disk.kill();
      fixture.session = fixture.disk.open();
      for (const { path, bytes } of filesOf(fixture.disk)) await rewriteAsFirstVersion(fixture, path, bytes);
      if (covered) {
        // What an older program left: the segment that has the groups was recycled, the next one is empty.
        await fixture.drive(fixture.session.run("bulk", [{ kind: "remove", path: `log/${segmentName(1)}` }]));
      }
      for (let life = 0; life < 3; life++) {
        await fixture.open(covered ? synced + 1 : 1);
        assert.deepEqual(fixture.replayed, covered ? [] : ["one", "two"]);
        await fixture.agenda.advance(50);
        fixture.disk[life === 1 ? "kill" : "crash"]();
      }
    }
  });
});

/** Headers as they were, and the sums of groups, which the header seeds. */
async function rewriteAsFirstVersion(fixture: LogFixture, path: string, bytes: number): Promise<void> {
  const content = fixture.disk.file(path)!.read(0, bytes);
  const view = new DataView(content.buffer);
  for (const at of [0, 2048]) {
    view.setUint16(at + 4, 1, true);
    view.setUint32(at + 24, crc32c(content.subarray(at, at + 24)), true);
    content.fill(0, at + 28, at + 64);
  }
  const seed = view.getUint32(24, true);
  for (let at = 4096; view.getUint32(at, true) === 0x474c524d;) {
    const end = at + 40 + view.getUint32(at + 12, true);
    view.setUint32(at + 4, crc32c(content.subarray(at + 8, end), seed), true);
    at = end;
  }
  assert.match(path, new RegExp(`^log/${hex16(0).slice(0, 15)}`));
  await fixture.drive(
    fixture.session.run("bulk", [
      { kind: "write", path, position: 0, bytes: content },
      { kind: "sync", path },
    ]),
  );
}
