// What a process must have after each start, whatever ended the one before it.
import { assert } from "@millrace/base";
import { keyOf } from "@millrace/metadata";
import type { Node } from "./node.ts";
import { checkPassing } from "./passing-user.ts";
import { checkJournal } from "./raw-journals.ts";
import type { World } from "./world.ts";

/** The longest pause between two tries, and some more. */
const LAST_TRY_S_MAX = 900;

export async function checkAll(world: World, node: Node): Promise<void> {
  await world.finish("counter", checkCounter(world, node));
  await checkJournals(world, node);
}

export async function checkJournals(world: World, node: Node): Promise<void> {
  for (const journal of [...world.journals, world.fenced]) {
    await world.finish(`reading ${journal.name}`, checkJournal(world, node, journal));
  }
  await world.finish(`reading ${world.passing.name}`, checkPassing(world, node));
}

/** The coordination store remembers what it acknowledged, and counts one further each time. */
async function checkCounter(world: World, { coordination, process }: Node): Promise<void> {
  const key = keyOf("sim/counter");
  const { kvs } = await coordination.range({ key }, process.signal);
  const found = kvs[0]?.value[0] ?? 0;
  const { counter } = world;
  const isKnown = found === counter.acknowledged || (counter.isAsked && found === counter.acknowledged + 1);
  assert(isKnown, "an acknowledged transaction is remembered", { found, acknowledged: counter.acknowledged });
  world.counter = { acknowledged: found, isAsked: true };
  const compare = [{ target: "mod", key, op: "=", revision: kvs[0]?.modRevision ?? 0 }] as const;
  const put = { kind: "put", key, value: Uint8Array.of(found + 1) } as const;
  const { succeeded } = await coordination.txn({ compare, success: [put] }, process.signal);
  assert(succeeded, "nobody else writes the counter", { found });
  world.counter = { acknowledged: found + 1, isAsked: false };
  world.trace.add(`counter ${found + 1}`);
}

/** A drain leaves what has failed to its next try, which may be minutes away: waits until there is none. */
export async function untilNothingWaits(world: World, node: Node): Promise<void> {
  const waits = (): boolean => node.pipeline.health().problems.some(({ kind }) => kind === "retrying");
  for (let seconds = 0; waits(); seconds++) {
    assert(seconds < LAST_TRY_S_MAX, "what has failed is tried again", { seconds });
    await world.passTime(1000);
  }
}
