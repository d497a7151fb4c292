import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { RowBuffer } from "./csv-writer.ts";
import { NO_PLACE, OpenFrame, type AppendWaiter } from "./publisher-frame.ts";

function waiter(told: string[], name: string, mayComeAgain: boolean): AppendWaiter {
  const onAppended = (rows: number): void => void told.push(`${name} ${rows}`);
  return mayComeAgain ? { onAppended, place: NO_PLACE } : { onAppended };
}

test("frame: who brings rows again after others have -> is told once, of all of them", () => {
  const told: string[] = [];
  const frame = new OpenFrame(new RowBuffer(64), { sinkVersion: 1, acceptedAtMs: 0, isAwaited: true });
  const [one, body, two] = [
    waiter(told, "one", false),
    waiter(told, "body", true),
    waiter(told, "two", false),
  ] as const;
  for (const each of [one, body, body, two, body, one]) frame.add(0, each, undefined);
  frame.settle(undefined);
  // A waiter that has not said that it may come again comes in a row, or with one row.
  deepEqual(told, ["one 1", "body 3", "two 1", "one 1"]);
  frame.settle(undefined);
  deepEqual(told.length, 4);
});
