import assert from "node:assert/strict";
import { test } from "node:test";
import { HeldBudget, HeldBytes, type HeldReport } from "./held-bytes.ts";
import type { RpcError } from "./status.ts";

interface Fixture {
  readonly budget: HeldBudget;
  readonly told: string[];
  readonly open: (name: string) => HeldBytes;
}

function fixture(bytesMax: number): Fixture {
  const told: string[] = [];
  const report: HeldReport = {
    held: (bytes) => void told.push(`held ${bytes}`),
    ended: () => void told.push("ended"),
  };
  const budget = new HeldBudget(bytesMax, report);
  const open = (name: string): HeldBytes =>
    new HeldBytes(budget, ({ code, message }: RpcError) => void told.push(`${name}: ${code} ${message}`));
  return { budget, told, open };
}

test("held bytes: beyond the bound -> whoever holds most is ended, later, until the rest is within", async () => {
  const { budget, told, open } = fixture(1000);
  const [small, most, large] = [open("small"), open("most"), open("large")];
  small.add(200);
  large.add(700);
  most.add(900);
  assert.deepEqual(told, []);
  await Promise.resolve();
  assert.deepEqual(told, [
    "ended",
    "most: RESOURCE_EXHAUSTED this connection holds 900 bytes, all connections 1800 (at most 1000)",
  ]);
  assert.equal(budget.bytes, 900);
  most.add(5000);
  assert.equal(budget.bytes, 900);
  small.add(101);
  await Promise.resolve();
  assert.match(told.at(-1)!, /^large: /);
  assert.equal(budget.bytes, 301);
});

test("held bytes: given back before the turn is over -> nobody is ended", async () => {
  const { told, open } = fixture(1000);
  const held = open("one");
  held.add(1001);
  held.add(-1);
  await Promise.resolve();
  assert.deepEqual(told, []);
});

test("held bytes: a connection closes -> it holds nothing, whatever it gives back later", () => {
  const { budget, told, open } = fixture(1e9);
  const held = open("one");
  held.add(100_000);
  held.close();
  held.close();
  held.add(-100_000);
  assert.equal(budget.bytes, 0);
  assert.deepEqual(told, ["held 100000", "held 0"]);
});
