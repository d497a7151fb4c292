import assert from "node:assert/strict";
import { test } from "node:test";
import { SpoolSimulation } from "./spool-simulation.ts";
import { Violation } from "./spool-model.ts";

const SEEDS = 120;

test("random use, power cuts, full disks, failing syncs -> nothing acknowledged is lost or changed", async () => {
  const total = {
    acknowledged: 0,
    refused: 0,
    crashes: 0,
    direct: 0,
    reads: 0,
    rotten: 0,
    refusedRotten: 0,
    cuts: 0,
    adopted: 0,
  };
  for (let seed = 0; seed < SEEDS; seed++) {
    const simulation = new SpoolSimulation({ seed: `spools/${seed}`, steps: 100 });
    await simulation.run().catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    });
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += simulation.counts[name];
  }
  // It did what it is for.
  assert.ok(total.acknowledged > 20 * SEEDS && total.refused > SEEDS / 4, JSON.stringify(total));
  assert.ok(total.rotten > SEEDS / 4 && total.refusedRotten > 5, JSON.stringify(total));
  assert.ok(total.cuts > SEEDS / 4 && total.adopted > SEEDS / 8, JSON.stringify(total));
  assert.ok(total.crashes > 3 * SEEDS && total.direct > SEEDS && total.reads > SEEDS, JSON.stringify(total));
});

test("the same seed twice -> the same operations of the disk", async () => {
  const run = (): Promise<string> => new SpoolSimulation({ seed: "twice", steps: 200 }).run();
  assert.equal(await run(), await run());
});

test("negative control: a disk whose syncs do nothing -> the model reports it", async () => {
  let violations = 0;
  for (let seed = 0; seed < 20; seed++) {
    const simulation = new SpoolSimulation({ seed: `control/${seed}`, steps: 60, withoutSync: true });
    await simulation.run().catch((error: unknown) => {
      violations++;
      const { name, code } = error as { name: string; code?: string };
      assert.ok(error instanceof Violation || (name === "WireError" && code === "CORRUPT"), String(error));
    });
  }
  assert.ok(violations >= 10, `${violations} of 20`);
});
