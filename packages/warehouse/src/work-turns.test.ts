import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "@millrace/base/testkit";
import { WorkTurns, type Urgency } from "./work-turns.ts";

/** Turns whose work ends when the test says so. */
class World {
  readonly turns = new WorkTurns();
  readonly log: string[] = [];
  readonly #ends = new Map<string, (failure?: Error) => void>();

  ask(urgency: Urgency, name: string): Promise<string> {
    return this.turns.take(urgency, () => {
      this.log.push(name);
      return new Promise((resolve, reject) => {
        this.#ends.set(name, (failure) => (failure === undefined ? resolve(name) : reject(failure)));
      });
    });
  }

  async end(name: string, failure?: Error): Promise<void> {
    this.#ends.get(name)!(failure);
    await settle();
  }
}

test("turns: what is urgent goes before what waits, behind what is under way, in the order of asking", async () => {
  const world = new World();
  const asked = (
    [
      ["later", "a"],
      ["later", "b"],
      ["soon", "c"],
      ["later", "d"],
      ["soon", "e"],
    ] as const
  ).map(([urgency, name]) => world.ask(urgency, name));
  await settle();
  // Nothing was under way when they were asked for.
  assert.deepEqual(world.log, ["c"]);
  for (const name of ["c", "e", "a"]) await world.end(name);
  asked.push(world.ask("soon", "f"));
  await settle();
  assert.deepEqual(world.log, ["c", "e", "a", "b"]);
  for (const name of ["b", "f", "d"]) await world.end(name);
  assert.deepEqual(await Promise.all(asked), ["a", "b", "c", "d", "e", "f"]);
  assert.deepEqual(world.log, ["c", "e", "a", "b", "f", "d"]);
});

test("turns: a piece fails -> its caller is told, the next one has its turn", async () => {
  const world = new World();
  const failing = assert.rejects(world.ask("later", "a"), /broken/);
  const next = world.ask("later", "b");
  let isIdle = false;
  const idle = world.turns.idle().then(() => (isIdle = true));
  await settle();
  await world.end("a", new Error("broken"));
  await failing;
  assert.deepEqual([world.log, isIdle], [["a", "b"], false]);
  await world.end("b");
  assert.equal(await next, "b");
  await idle;
  await world.turns.idle();
  const again = world.ask("soon", "c");
  await settle();
  await world.end("c");
  assert.equal(await again, "c");
});
