// The character NUL in a mapping's values, for tables that have no text with it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { utf8 } from "@millrace/base";

import type { Column } from "./definitions.ts";
import { map, mapEvaluated, templateColumn, type GivenRecord } from "./mapping-testkit.ts";

const JSON_NUL: GivenRecord = { body: '{"a":"x\\u0000","b":"x"}' };
const TEXT_NUL: GivenRecord = { body: utf8("x\0"), opaque: true };
const REFUSED =
  'Invalid value for column "c": it has the character NUL, which the sink\'s target has no text with.';

const path = (of: string, rawString: boolean, defaultValue?: string): Column => ({
  type: "path",
  name: "c",
  path: of,
  rawString,
  ...(defaultValue === undefined ? {} : { defaultValue }),
});

describe("a value with the character NUL, for a table that takes none", () => {
  const refused: [name: string, column: Column, given: GivenRecord][] = [
    ["text of a path", path("a", true), JSON_NUL],
    ["default of a path", path("gone", true, "\0"), JSON_NUL],
    ["text of a Jsonnet template", templateColumn("jsonnet", "Body('a')", true), JSON_NUL],
    ["body", { type: "body", name: "c" }, TEXT_NUL],
  ];
  for (const [name, column, given] of refused) {
    test(`${name} -> 422, and for other tables a row`, () => {
      const failure = map([{ type: "ip", name: "first" }, column], given, { takesNul: false });
      assert.ok(typeof failure === "object");
      assert.deepEqual([failure.status, failure.column, failure.message], [422, "c", REFUSED]);
      const row = map([column], given);
      assert.ok(typeof row === "string" && row.includes("\0"));
    });
  }

  test("text of a JSONata template -> 422", async () => {
    const column = templateColumn("jsonata", "a", true);
    const failure = await mapEvaluated([column], JSON_NUL, undefined, { takesNul: false });
    assert.ok(typeof failure === "object");
    assert.deepEqual([failure.status, failure.message], [422, REFUSED]);
  });

  const taken: [name: string, column: Column, row: string][] = [
    ["JSON of a path has it escaped", path("a", false), '"""x\\u0000"""\n'],
    ["and so an object", path("", true), '"{""a"":""x\\u0000"",""b"":""x""}"\n'],
    ["and a template's JSON", templateColumn("jsonnet", "[Body('a')]"), '"[""x\\u0000""]"\n'],
    ["a value without it", path("b", true), '"x"\n'],
  ];
  for (const [name, column, row] of taken) {
    test(`${name} -> a row`, () => {
      assert.equal(map([column], JSON_NUL, { takesNul: false }), row);
    });
  }
});
