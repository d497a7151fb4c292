import assert from "node:assert/strict";
import { test } from "node:test";
import { optionsBehind } from "./options-behind.ts";

const MOVED: readonly (readonly [given: string, taken: string])[] = [
  ["journals --zone a list -p", "journals list --zone a -p"],
  [
    "journals --broker.address=http://b:1 --zone a append -l x",
    "journals append --broker.address=http://b:1 --zone a -l x",
  ],
  ["brokers --address http://b:1 drain x/y", "brokers drain --address http://b:1 x/y"],
  ["journals list --zone a", "journals list --zone a"],
  ["journals --help", "journals --help"],
  ["journals --json -l x list", "journals --json -l x list"],
  ["journals --zone list", "journals --zone list"],
  ["journals", "journals"],
  ["sql --json x y", "sql --json x y"],
  ["", ""],
];

test("options before a group's command -> are moved behind it; whatever is none of these stays", () => {
  for (const [given, taken] of MOVED) assert.equal(optionsBehind(given.split(" ")).join(" "), taken, given);
});
