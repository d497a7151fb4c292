// Bytes that are copied from other brokers, below what is here (D14): whole and synced, or not at all.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import { never, WireError } from "@millrace/base";
import { contents, SpoolFixture } from "./spool-fixture.ts";
import { QUARANTINE_DIR, SPOOLS_DIR } from "./spool-paths.ts";
import type { Spool } from "./spools.ts";

const hasCode = (code: string) => (error: unknown) => error instanceof WireError && error.code === code;
const sha1 = (bytes: string): string => createHash("sha1").update(bytes).digest("hex");
const shown = (spool: Spool) => spool.fragments().map(({ begin, end, closed }) => ({ begin, end, closed }));
const OLD = "old bytes ".repeat(1000);
const RANGE = { begin: 0, end: OLD.length };

/** `text` in small pieces. */
async function* pieces(text: string, bytes = 3000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += bytes)
    yield await Promise.resolve(Buffer.from(text.slice(at, at + bytes)));
}

/** A spool that begins behind what others have. */
async function newcomer(fixture: SpoolFixture, begin = OLD.length): Promise<Spool> {
  const spool = await fixture.reopen("a", { atLeast: begin });
  await fixture.append(spool, "new");
  return spool;
}

const copyFiles = (fixture: SpoolFixture): string[] =>
  [...contents(fixture.disk).keys()].filter((path) => path.endsWith(".copy"));

suite("adopted fragments", () => {
  test("copied -> held, shown with its sum, read, and kept by restarts, also without a checkpoint", async () => {
    for (const isGraceful of [false, true]) {
      const fixture = new SpoolFixture(`adopted ${isGraceful}`);
      const spool = await newcomer(fixture);
      assert.equal(await fixture.drive(spool.adopt(RANGE, pieces(OLD), never)), OLD.length);
      const expect = async (one: Spool): Promise<void> => {
        assert.deepEqual(shown(one), [
          { begin: 0, end: OLD.length, closed: true },
          { begin: OLD.length, end: OLD.length + 3, closed: false },
        ]);
        assert.deepEqual(one.held(), [{ begin: 0, end: OLD.length + 3 }]);
        assert.equal(one.fragments()[0]!.sum(), sha1(OLD));
        assert.equal(await fixture.text(one, 0), OLD);
        assert.equal(await fixture.text(one, OLD.length), "new");
      };
      await expect(spool);
      if (isGraceful) await fixture.close();
      fixture.disk.crash();
      const again = await fixture.reopen("a");
      await expect(again);
      await fixture.append(again, " more");
      again.release(RANGE);
      await fixture.agenda.advance(100);
      fixture.disk.crash();
      assert.deepEqual((await fixture.reopen("a")).held(), [{ begin: OLD.length, end: OLD.length + 8 }]);
    }
  });

  test("in pieces, in any order, also what was released -> without a gap in the end", async () => {
    const fixture = new SpoolFixture("pieces");
    const spool = await newcomer(fixture);
    const adopt = (begin: number, end: number, to = end): Promise<number> =>
      fixture.drive(spool.adopt({ begin, end: to }, pieces(OLD.slice(begin, end)), never));
    assert.equal(await adopt(4000, 7000, OLD.length), 7000);
    await adopt(0, 4000);
    await adopt(7000, OLD.length);
    assert.deepEqual(spool.held(), [{ begin: 0, end: OLD.length + 3 }]);
    spool.release({ begin: 4000, end: 7000 });
    await assert.rejects(adopt(4000, 7000), hasCode("CONFLICT"));
    await fixture.agenda.advance(100);
    await adopt(4000, 7000);
    await fixture.agenda.advance(1000);
    assert.equal(await fixture.text(spool, 4000), OLD.slice(4000, 7000));
    fixture.disk.crash();
    const again = await fixture.reopen("a");
    assert.deepEqual(again.held(), [{ begin: 0, end: OLD.length + 3 }]);
    assert.equal(await fixture.text(again, 4000), OLD.slice(4000, 7000));
  });

  test("over what is here, beyond what is shown, of the open fragment, or twice at once -> refused", async () => {
    const fixture = new SpoolFixture("refused");
    const spool = await newcomer(fixture);
    const adopt = (begin: number, end: number): Promise<number> =>
      fixture.drive(spool.adopt({ begin, end }, pieces("x".repeat(end - begin)), never));
    await adopt(100, 200);
    for (const [begin, end] of [
      [150, 160],
      [0, 101],
      [199, 300],
      [50, 250],
      [9000, OLD.length + 1],
      [70, 70],
    ] as const)
      await assert.rejects(adopt(begin, end), hasCode("CONFLICT"), `[${begin}, ${end})`);
    const first = spool.adopt({ begin: 300, end: 400 }, pieces("x".repeat(100)), never);
    await assert.rejects(adopt(500, 600), hasCode("CONFLICT"));
    await fixture.drive(first);
    await fixture.close();
    const again = await fixture.reopen("a");
    again.hide(0);
    await assert.rejects(
      fixture.drive(again.adopt({ begin: 0, end: 50 }, pieces("x"), never)),
      hasCode("CONFLICT"),
    );
  });

  test("the source gives up, sends nothing or too much, is found wrong, the caller leaves -> nothing", async () => {
    const fixture = new SpoolFixture("sources");
    const spool = await newcomer(fixture);
    const abort = new AbortController();
    async function* failing(after: number, why: () => void): AsyncGenerator<Uint8Array> {
      yield* pieces(OLD.slice(0, after));
      why();
    }
    const differs = (): never => {
      throw new WireError("CORRUPT", "other bytes");
    };
    const leave = (): void => abort.abort(new WireError("UNAVAILABLE", "left"));
    const cases: [AsyncIterable<Uint8Array>, string, AbortSignal][] = [
      [failing(5000, differs), "CORRUPT", never],
      [failing(OLD.length, differs), "CORRUPT", never],
      [pieces(""), "UNAVAILABLE", never],
      [pieces(`${OLD}!`), "UNAVAILABLE", never],
      [failing(5000, leave), "UNAVAILABLE", abort.signal],
    ];
    for (const [content, code, signal] of cases) {
      await assert.rejects(fixture.drive(spool.adopt(RANGE, content, signal)), hasCode(code));
      assert.deepEqual(spool.held(), [{ begin: OLD.length, end: OLD.length + 3 }]);
      assert.equal([...contents(fixture.disk, SPOOLS_DIR).values()].join("").includes("old"), false);
    }
    await fixture.drive(spool.adopt(RANGE, pieces(OLD), never));
    assert.equal(await fixture.text(spool, 0), OLD);
  });

  test("the disk is full -> refused, and no space is taken; a sync fails -> the process ends", async () => {
    const fixture = new SpoolFixture("full");
    const spool = await newcomer(fixture);
    fixture.disk.failWrite((path) => path.endsWith(".copy"));
    await assert.rejects(fixture.drive(spool.adopt(RANGE, pieces(OLD), never)), hasCode("DISK_FULL"));
    assert.deepEqual(copyFiles(fixture), []);
    await fixture.agenda.advance(1000);
    fixture.disk.failSync((path) => path.endsWith(".copy"));
    await assert.rejects(fixture.drive(spool.adopt(RANGE, pieces(OLD), never)), WireError);
    assert.equal(fixture.fatal.length, 1);
  });

  test("the journal is deleted meanwhile -> nothing is left of it", async () => {
    const fixture = new SpoolFixture("deleted");
    const spool = await newcomer(fixture);
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield* pieces(OLD.slice(0, 6000));
      spool.remove();
      await fixture.clock.sleep(50, never);
      yield* pieces(OLD.slice(6000));
    }
    await assert.rejects(fixture.drive(spool.adopt(RANGE, slow(), never)), hasCode("NOT_FOUND"));
    await fixture.agenda.advance(1000);
    await fixture.close();
    fixture.disk.crash();
    const again = await fixture.reopen("a");
    assert.deepEqual([again.end, again.held()], [0, []]);
  });

  test("ended behind any operation of the disk, by power or kill -> all of it or nothing, and it goes on", async () => {
    const fixture = new SpoolFixture("count");
    const first = await newcomer(fixture);
    const before = fixture.ops.length;
    await fixture.drive(first.adopt(RANGE, pieces(OLD), never));
    const count = fixture.ops.length - before;
    assert.ok(count >= 8, `${count} operations`);
    const seen = new Set<boolean>();
    for (let at = 0; at <= count; at++) {
      for (const how of ["crash", "kill"] as const) {
        const one = new SpoolFixture(`ended ${how} ${at}`);
        const spool = await newcomer(one);
        const from = one.ops.length;
        const adopting = spool.adopt(RANGE, pieces(OLD), never);
        adopting.catch(() => undefined);
        await one.agenda.runUntil(() => one.ops.length - from >= at, one.agenda.nowMs + 1000);
        one.disk[how]();
        const again = await one.reopen("a");
        const isThere = again.held()[0]!.begin === 0;
        seen.add(isThere);
        if (!isThere) {
          assert.deepEqual(shown(again), [{ begin: OLD.length, end: OLD.length + 3, closed: false }]);
          await one.drive(again.adopt(RANGE, pieces(OLD), never));
        }
        assert.equal(await one.text(again, 0), OLD);
        assert.equal(await one.text(again, OLD.length), "new");
        assert.deepEqual(copyFiles(one), []);
        // A copy that was whole, and not in the log yet, may be aside: never more than that.
        const aside = [...contents(one.disk, QUARANTINE_DIR).values()];
        assert.ok(aside.length <= 1, `${aside.length} files set aside`);
      }
    }
    assert.equal(seen.size, 2);
  });
});
