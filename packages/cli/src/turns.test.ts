import assert from "node:assert/strict";
import { test } from "node:test";
import { never } from "@millrace/base";
import { Turns } from "./turns.ts";

test("turns: one at a time, whoever waits gets it next; who gives up leaves it to others", async () => {
  const turns = new Turns();
  const order: string[] = [];
  await turns.take(never);
  const gone = new AbortController();
  const impatient = turns.take(gone.signal);
  const second = turns.take(never).then(() => order.push("second"));
  gone.abort(new Error("enough"));
  await assert.rejects(impatient, { message: "enough" });
  assert.deepEqual(order, []);
  turns.give();
  await second;
  turns.give();
  await turns.take(never);
});
