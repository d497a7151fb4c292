// D18: what a store says of itself. The only copy of acknowledged bytes is given up only for one that was read back, or
// that this process wrote and had confirmed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "@millrace/base";
import { readJournal } from "@millrace/client";
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

const FAULTS = [
  "truncated",
  "timeout-after-success",
  "unavailable",
  "unsynced",
  "wrong-length",
  "slow",
] as const;

for (const fault of FAULTS) {
  for (const ending of [undefined, "kill", "crash", "close"] as const) {
    test(`D18: puts of fragments: ${fault}, then ${ending ?? "nothing else"} -> every byte is there`, async () => {
      const stage = await play(fault, ending);
      // Nothing local is left to hide behind.
      assert.equal(stage.node.broker.backlog().count, 0);
      await stage.end();
    });
  }
}

/** How the process ends that has named objects and not synced them; after the next one's work the power goes. */
for (const ending of [undefined, "kill", "close"] as const) {
  test(`D18: objects named and not synced, ${ending ?? "no end"}, a power cut -> every byte is there`, async () => {
    const stage = new Stage(`unsynced ${ending ?? "lives"}`, SWARM);
    const { world } = stage;
    const unsynced = new Set<string>();
    let isFailing = true;
    world.fragments.script = (operation, path) => {
      if (operation !== "put" || path.startsWith(".test/") || !isFailing) return "none";
      unsynced.add(path);
      return "unsynced";
    };
    await stage.start();
    for (let i = 0; i < 20; i++) await stage.append(`${i};`.repeat(600));
    await stage.pass(100);
    assert.ok(unsynced.size > 10, "there were faults");
    isFailing = false;
    if (ending !== undefined) {
      await stage[ending]();
      await stage.start();
    }
    await stage.pass(400_000);
    assert.equal(stage.node.broker.backlog().count, 0);
    stage.crash();
    await stage.end();
  });
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

test("a store that lists late, after a restart -> the begin is not taken for pruned, and a hole is said", async () => {
  const stage = new Stage("late begin", { ...SWARM, faults: { ...CALM.faults, listLagMs: 30_000 } });
  const { world, journal } = stage;
  await stage.start();
  await stage.append("first;".repeat(300));
  const begin = journal.model.end;
  await stage.append("second;".repeat(300));
  await stage.pass(1000);
  stage.kill();
  await stage.startUnchecked();
  const ports = { transport: stage.node.broker.transport, clock: world.clock, logger: silentLogger };
  const readOnce = async (): Promise<number> => {
    let end = 0;
    const options = { journal: journal.name, offset: 0, block: false };
    for await (const event of readJournal(ports, options, stage.node.process.signal)) {
      assert.equal(event.kind, "content");
      if (event.kind === "content") end = event.offset + event.bytes.length;
    }
    return end;
  };
  await stage.append("third;".repeat(300));
  await stage.append("fourth;");
  await stage.pass(1000);
  // What this process stored and confirmed it knows; what the one before it stored is not listed yet.
  assert.equal(stage.node.broker.backlog().count, 0);
  const hole = { code: "OFFSET_NOT_YET_AVAILABLE", facts: { journal: journal.name, begin: 0, end: begin } };
  await assert.rejects(stage.finish(readOnce()), hole);
  await stage.pass(120_000);
  assert.equal(await stage.finish(readOnce()), journal.model.end);
  await stage.end();
});
