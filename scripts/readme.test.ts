import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { commandBlocks } from "./readme.mjs";

test("commandBlocks: blocks marked sh -> their lines and where; others -> left out", () => {
  const markdown = "# A\n```sh\nnpm start\n```\n```text\nno\n```\n```\nno\n```\n\n```sh\na\n  b\n```\n";
  assert.deepEqual(commandBlocks(markdown), [
    { line: 2, code: "npm start" },
    { line: 12, code: "a\n  b" },
  ]);
});

test("commandBlocks: a block that is never closed -> refused, naming its line", () => {
  assert.throws(() => commandBlocks("a\n```sh\nb\n"), /line 2 is never closed/);
});

test("README: its first two command blocks are the two commands of a fresh machine", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  assert.deepEqual(
    commandBlocks(readme)
      .slice(0, 2)
      .map(({ code }) => code),
    ["npm start", "npm test"],
  );
});
