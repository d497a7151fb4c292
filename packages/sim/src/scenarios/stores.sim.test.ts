// D18: what a store says of itself. The only copy of acknowledged bytes is given up only for one that was read back, or
// that this process wrote and had confirmed.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoreFault } from "@millrace/stores/testkit";
import { CALM } from "../options.ts";
import { Stage } from "./stage.ts";

const SWARM = { fragmentBytes: 1024, flushIntervalMs: 60_000 } as const;

/** The first puts of each object fail with `fault`, and the process dies behind the first of them or not. */
async function play(fault: StoreFault, ending: "close" | "kill" | "crash" | undefined): Promise<Stage> {
  const stage = new Stage(`${fault} ${ending ?? "lives"}`, SWARM);
  const { world } = stage;
  const faulty = new Map<string, number>();
  world.fragments.script = (operation, path) => {
    if (operation !== "put" || path.startsWith(".test/")) return "none";
    const times = (faulty.get(path) ?? 0) + 1;
    faulty.set(path, times);
    return times <= 2 ? fault : "none";
  };
  await stage.start();
  for (let i = 0; i < 5; i++) {
    await stage.append(`${i};`.repeat(600));
    await stage.send(2);
  }
  await stage.pass(100);
  if (ending !== undefined) {
    await stage[ending]();
    await stage.start();
  }
  await stage.pass(400_000);
  assert.ok(faulty.size > 5, "there were faults");
  return stage;
}

for (const fault of ["truncated", "timeout-after-success", "unavailable", "wrong-length", "slow"] as const) {
  for (const ending of [undefined, "kill", "crash", "close"] as const) {
    test(`D18: puts of fragments: ${fault}, then ${ending ?? "nothing else"} -> every byte is there`, async () => {
      const stage = await play(fault, ending);
      // Nothing local is left to hide behind.
      assert.equal(stage.node.broker.backlog().count, 0);
      await stage.end();
    });
  }
}

test("D18: a store that lists late, through restarts -> every byte is there once it lists", async () => {
  const stage = new Stage("late listing", { ...SWARM, faults: { ...CALM.faults, listLagMs: 30_000 } });
  await stage.start();
  for (let life = 0; life < 3; life++) {
    for (let i = 0; i < 3; i++) await stage.append(`${life}/${i};`.repeat(300));
    await stage.pass(life * 20_000);
    await stage.close();
    await stage.start();
  }
  await stage.end();
});
