// What a process must have after each start, whatever ended the one before it.
import { assert } from "@millrace/base";
import { keyOf } from "@millrace/metadata";
import type { Node } from "./node.ts";
import { checkPassing } from "./passing-journal.ts";
import { checkJournal } from "./raw-journals.ts";
import type { World } from "./world.ts";

/** @param number of this life: each counts one further in the coordination store */
export async function checkAll(world: World, node: Node, number: number): Promise<void> {
  await world.finish("counter", checkCounter(world, node, number));
  await checkJournals(world, node);
}

export async function checkJournals(world: World, node: Node): Promise<void> {
  for (const journal of [...world.journals, world.fenced]) {
    await world.finish(`reading ${journal.name}`, checkJournal(world, node, journal));
  }
  await world.finish(`reading ${world.passing.name}`, checkPassing(world, node));
}

/** The coordination store remembers what it acknowledged: each life counts one further. */
async function checkCounter(world: World, { coordination, process }: Node, number: number): Promise<void> {
  const key = keyOf("sim/counter");
  const { kvs } = await coordination.range({ key }, process.signal);
  const lives = kvs[0]?.value[0] ?? 0;
  assert(lives === number || lives === number + 1, "an acknowledged transaction is remembered", { lives, number });
  const compare = [{ target: "mod", key, op: "=", revision: kvs[0]?.modRevision ?? 0 }] as const;
  const put = { kind: "put", key, value: Uint8Array.of(number + 1) } as const;
  const { succeeded } = await coordination.txn({ compare, success: [put] }, process.signal);
  assert(succeeded, "nobody else writes the counter", { number });
  world.trace.add(`counter ${number + 1}`);
}
