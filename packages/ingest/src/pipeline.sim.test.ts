import assert from "node:assert/strict";
import { test } from "node:test";

import { World, type WorldOptions } from "./pipeline-world.ts";

/** A world takes about half a second. */
const SEEDS = 300;

async function play(options: WorldOptions): Promise<unknown> {
  try {
    await new World(options).play();
    return undefined;
  } catch (error) {
    return error;
  }
}

test(`pipeline: ${SEEDS} seeds of failures, crashes and doubled processes -> every row once, in order`, async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const failure = await play({ seed: `pipeline-${seed}` });
    if (failure !== undefined) throw new Error(`seed pipeline-${seed}`, { cause: failure });
  }
});

test("one seed played twice -> the same events at the same times", async () => {
  const traces: string[] = [];
  for (let i = 0; i < 2; i++) {
    const world = new World({ seed: "pipeline-twice" });
    await world.play();
    traces.push(
      `${world.agenda.executed} events, ${world.agenda.nowMs} ms, ${world.accepted} rows, ${world.target.loads} loads`,
    );
  }
  assert.equal(traces[0], traces[1]);
});

test("negative control: a target that does not check its loaded end -> doubled rows are found", async () => {
  assert.ok(await someFail({ checksLoadedEnd: false }));
});

test("negative control: frames whose sequence says nothing -> doubled rows are found", async () => {
  assert.ok(await someFail({ freshSequences: true }));
});

async function someFail(options: Omit<WorldOptions, "seed">): Promise<boolean> {
  for (let seed = 0; seed < 20; seed++) {
    if ((await play({ seed: `pipeline-${seed}`, ...options })) !== undefined) return true;
  }
  return false;
}
