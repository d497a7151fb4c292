// A row that is too long is written no further than it takes to see that, whatever a short record would become.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { systemRandom } from "@millrace/base";

import { RowBuffer } from "./csv-writer.ts";
import type { Column } from "./definitions.ts";
import { ROW_BYTES_MAX } from "./limits.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { recordOf } from "./mapping-testkit.ts";
import { compileMapping } from "./mapping.ts";

const WHOLE: Column = { type: "path", name: "c", path: "" };
const template = (content: string): Column => ({
  type: "template",
  name: "c",
  template: { language: "jsonnet", content },
});
const list = (element: string): string => `[${Array.from({ length: 170_000 }, () => element).join(",")}]`;

/** Of a buffer that grows by doubling, for what is written and as much again that is made room for. */
const HELD_BYTES_MAX = 4 * ROW_BYTES_MAX;

const CASES: readonly (readonly [name: string, column: Column, body: string])[] = [
  ["numbers with exponents", WHOLE, list("1e308")],
  ["negative ones", WHOLE, list("-1.5e300")],
  ["tiny ones", WHOLE, list("1e-300")],
  ["numbers within an object of a list", WHOLE, `[{"a":${list("1e308")}}]`],
  ["a template's string", template("std.repeat('x', 8000000)"), "{}"],
  ["a template's string of other characters", template("std.repeat('é', 6000000)"), "{}"],
  ["a template's list", template("[std.repeat('x', 7000000)]"), "{}"],
];

describe("a row that is too long", () => {
  for (const [name, column, body] of CASES) {
    test(`${name} -> 413, and no more than some rows' bytes were written`, () => {
      const tree = new PathTree();
      const mapping = compileMapping([column], { tree, programs: new ProgramSet(), random: systemRandom });
      const out = new RowBuffer(64);
      const failure = mapping.write(recordOf({ body }, tree), out);
      assert.equal(failure?.status, 413, failure?.message);
      assert.equal(out.at, 0);
      assert.ok(out.bytes.length <= HELD_BYTES_MAX, `${out.bytes.length} bytes`);
    });
  }

  test("numbers that just fit -> all of them", () => {
    const tree = new PathTree();
    const mapping = compileMapping([WHOLE], { tree, programs: new ProgramSet(), random: systemRandom });
    const out = new RowBuffer(64);
    const count = Math.floor((ROW_BYTES_MAX - 10) / 310);
    const body = `[${Array.from({ length: count }, () => "1e308").join(",")}]`;
    assert.equal(mapping.write(recordOf({ body }, tree), out), undefined);
    assert.equal(out.at, count * 310 + 4);
  });
});
