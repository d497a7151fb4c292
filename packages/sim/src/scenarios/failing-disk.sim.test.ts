// D2, D5: a disk that fails, fills up or rots.
import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { checkRefusal, turn } from "../bit-rot.ts";
import { ProcessEnded } from "../process.ts";
import { readWhole } from "../raw-journals.ts";
import { Stage } from "./stage.ts";

for (const [what, path] of [
  ["the log's", /^log\/\d/],
  ["the coordination log's", /^coordination\/log\/\d/],
  ["a direct append's spool's", /^spools\//],
  ["a new segment's", /^log\/preparing/],
  ["a checkpoint's", /^log\/checkpoint/],
] as const) {
  test(`D5: ${what} sync fails -> the process ends, nobody is told a lie, the next life has everything`, async () => {
    const stage = new Stage(`failing sync ${what}`, { segmentBytes: 128 * 1024 });
    await stage.start();
    await stage.append("before;");
    stage.world.failNextSync((synced) => path.test(synced));
    const work = async (): Promise<void> => {
      for (let i = 0; i < 200; i++) {
        await stage.append(`${i};`.repeat(i % 10 === 9 ? 8000 : 500));
        await stage.send(1);
      }
    };
    await assert.rejects(work(), ProcessEnded);
    if (path.test("log/checkpoint.new")) stage.crash();
    else stage.kill();
    await stage.start();
    await stage.append("after;");
    await stage.end();
  });
}

test("D5: full disk -> appends refused, reads go on, and it recovers without a restart", async () => {
  const stage = new Stage("full", { segmentBytes: 128 * 1024 });
  const { world, journal } = stage;
  await stage.start();
  await stage.append("before;".repeat(100));
  world.takeSpace(1000);
  await stage.pass(5000);
  assert.equal(await stage.append("refused;".repeat(4000)), "refused");
  assert.match(stage.node.broker.health().join(), /space/);
  await stage.finish(readWhole(world, stage.node, journal.name));
  world.giveSpace();
  await stage.pass(5000);
  assert.deepEqual(stage.node.broker.health(), []);
  assert.equal(await stage.append("taken;"), "acknowledged");
  stage.crash();
  await stage.end();
});

test("D5: full disk at a start -> refused as that; with space it starts and has everything", async () => {
  const stage = new Stage("full at the start", { segmentBytes: 128 * 1024 });
  await stage.start();
  await stage.append("before;");
  await stage.send(2);
  stage.crash();
  // Room for less and less: somewhere it is refused, and never worse than that.
  let refused = 0;
  for (let bytes = 400_000; bytes >= 0; bytes -= 50_000) {
    stage.world.takeSpace(bytes);
    const { opening } = stage.begin();
    const answer = await stage.finish(opening.catch((error: unknown) => WireError.from(error)));
    if (answer instanceof WireError) {
      assert.equal(answer.code, "DISK_FULL");
      refused++;
    }
    stage.kill();
  }
  assert.ok(refused > 0);
  stage.world.giveSpace();
  await stage.end();
});

test("D2: rot in the logs -> the start is refused, file and offset named; mended, nothing is lost", async () => {
  const stage = new Stage("rot");
  await stage.start();
  for (let i = 0; i < 10; i++) await stage.append(`${i};`.repeat(20));
  await stage.send(5);
  await stage.pass(3000);
  stage.kill();
  for (const path of ["log/0000000000000001.seg", "coordination/log/0000000000000001.seg"]) {
    for (const offset of [4096 + 3, 4096 + 90, 4096 + 200]) {
      const rot = { path, offset, mask: 1 };
      turn(stage.world, rot);
      const { opening } = stage.begin();
      await assert.rejects(stage.finish(opening), (error: WireError) => {
        assert.equal(error.code, "CORRUPT");
        checkRefusal(error, rot);
        return true;
      });
      stage.kill();
      turn(stage.world, rot);
    }
  }
  await stage.end();
});
