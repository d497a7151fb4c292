// Bits that turn in spool files: readers and the pipeline see a prefix of what was written, or are refused by file and
// offset; once the file is mended they have everything.
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, WireError } from "@millrace/base";
import { readJournal } from "@millrace/client";
import { spoolFilesOf } from "../spool-rot.ts";
import { NO_CONTROLS, type Controls } from "../options.ts";
import { tableOf } from "../world.ts";
import { Stage } from "./stage.ts";

/** A journal without a store: its fragments, some of them closed, stay on this disk. Most of it is not in memory. */
async function filled(seed: string, controls: Controls = NO_CONTROLS): Promise<Stage> {
  const stage = new Stage(seed, { tailBytes: 4096 }, controls);
  await stage.start();
  const journal = stage.world.passing.current;
  for (let i = 0; i < 25; i++) await stage.append(`${i};`.repeat(700), journal);
  return stage;
}

/** Reads the journal from its begin until it ends or is refused. */
async function readOnce(stage: Stage): Promise<{ end: number; refused: WireError | undefined }> {
  const { world, node } = stage;
  const { name, current } = world.passing;
  const ports = { transport: node.broker.transport, clock: world.clock, logger: silentLogger };
  let end = 0;
  const reading = async (): Promise<void> => {
    for await (const event of readJournal(
      ports,
      { journal: name, offset: 0, block: false },
      node.process.signal,
    )) {
      assert.equal(event.kind, "content");
      if (event.kind !== "content") continue;
      current.read(event.offset, event.bytes);
      end = event.offset + event.bytes.length;
    }
  };
  const refused = await stage.finish(
    reading().then(
      () => undefined,
      (error: unknown) => WireError.from(error),
    ),
  );
  return { end, refused };
}

/** Turns a bit of each spool file of the journal in turn, and looks at what readers are given. */
async function rotEach(stage: Stage): Promise<void> {
  const { world } = stage;
  const whole = await readOnce(stage);
  assert.deepEqual(whole, { end: world.passing.current.model.end, refused: undefined });
  const files = spoolFilesOf(world.disk, "passing");
  assert.ok(files.length >= 3);
  for (const { path } of files.slice(0, -1)) {
    world.spoolRot.strike(stage.random, path);
    const { end, refused } = await readOnce(stage);
    assert.ok(refused !== undefined && world.spoolRot.explains(refused), String(refused));
    assert.equal(refused.facts["path"], path);
    const begin = Number.parseInt(path.slice(-20, -4), 16);
    assert.ok(end >= begin && end < whole.end, `read to ${end}`);
    world.spoolRot.mend();
    await stage.pass(60_000); // What was found rotten as a whole is not looked at again at once.
  }
  assert.deepEqual(await readOnce(stage), whole);
}

test("rot in closed fragments of a running process -> read up to it, then refused by file and offset", async () => {
  const stage = await filled("rot in a run");
  await rotEach(stage);
  await stage.append("after;", stage.world.passing.current);
  await stage.end();
});

test("rot in closed fragments, found after a restart -> none of the fragment is given out", async () => {
  for (const ending of ["kill", "crash", "close"] as const) {
    const stage = await filled(`rot before a ${ending}`);
    await stage[ending]();
    await stage.start();
    await rotEach(stage);
    await stage.end();
  }
});

test("rot in closed fragments with nobody who checks -> two contents are found (negative control)", async () => {
  const stage = await filled("rot unchecked", { ...NO_CONTROLS, withoutReadChecks: true });
  await assert.rejects(rotEach(stage), /an offset has two contents/);
});

test("rot in a partition's spool -> its rows wait, and come exactly once when the file is mended", async () => {
  const stage = new Stage("rot in a partition");
  const { world } = stage;
  const rows = (): number => world.target.tables.get(tableOf(0))?.rows.length ?? 0;
  await stage.start();
  world.staging.faults = { unavailable: 1000 };
  await stage.send(20);
  world.staging.faults = {};
  // What the log has of a spool is written again by recovery; a graceful stop leaves it to the spool alone.
  await stage.finish(stage.node.close(AbortSignal.abort(new Error("rows are left for the next life"))));
  stage.kill();
  world.spoolRot.strike(stage.random, "rows0");
  await stage.start();
  await stage.pass(30_000);
  assert.deepEqual([rows(), world.tally.get("spool rot")], [0, 1]);
  await stage.send(3); // Refused: the partition's fragment is not known to be what it was.
  world.spoolRot.mend();
  await stage.pass(30_000);
  assert.ok(rows() >= 20);
  await stage.end();
});
