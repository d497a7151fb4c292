// The pipeline against a world that fails (pipeline-world.ts): 100 worlds that are always the same, then others, which
// the commit's seed names, until the minutes are over.
//
// MILLRACE_TEST_PIPELINE_SEED plays that one seed alone, MILLRACE_TEST_PIPELINE_MINUTES (4) makes it longer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock, systemRandom } from "@millrace/base";
import { World, type WorldOptions } from "./pipeline-world.ts";

const SEEDS = 100;
const MINUTES = Number(process.env["MILLRACE_TEST_PIPELINE_MINUTES"] ?? 4);
const COMMIT_SEED = process.env["MILLRACE_TEST_SEED"] ?? String(systemRandom.u32());
const ONE_SEED = process.env["MILLRACE_TEST_PIPELINE_SEED"];
const PROGRESS_MS = 30_000;

async function play(options: WorldOptions): Promise<unknown> {
  try {
    await new World(options).play();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** @throws {Error} naming the seed */
async function mustHold(seed: string): Promise<void> {
  const failure = await play({ seed });
  if (failure !== undefined) throw new Error(`seed ${seed}`, { cause: failure });
}

test("pipeline: failures, crashes and doubled processes, in many worlds -> every row once, in order", async (t) => {
  if (ONE_SEED !== undefined) return mustHold(ONE_SEED);
  const beganMs = systemClock.monotonicMs();
  const passedMs = (): number => systemClock.monotonicMs() - beganMs;
  for (let seed = 0; seed < SEEDS; seed++) await mustHold(`pipeline-${seed}`);
  let count = 0;
  for (let saidMs = passedMs(); passedMs() < MINUTES * 60_000; count++) {
    await mustHold(`pipeline-${COMMIT_SEED}-${count}`);
    if (passedMs() - saidMs < PROGRESS_MS) continue;
    saidMs = passedMs();
    t.diagnostic(`${SEEDS + count + 1} worlds in ${Math.round(saidMs / 1000)} s`);
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
